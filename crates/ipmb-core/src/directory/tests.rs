use proptest::prelude::*;

use super::*;
use crate::{Label, Overflow, ReceiveLimits};

#[test]
fn unicast_goes_to_the_first_that_receives() {
    let mut directory = Directory::default();
    for (id, order) in [(1, 30), (2, 10), (3, 20)] {
        directory.apply(Record::Join(member(id, order, &["a"])));
    }
    let ids = |directory: &Directory, mode| {
        let matching = directory.matching(&LabelOp::from("a"), mode);
        matching.into_iter().map(|id| id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(&directory, SelectorMode::Unicast), [2]);
    assert_eq!(ids(&directory, SelectorMode::Multicast), [2, 3, 1]);
    directory.apply(Record::Receiving(EndpointId(2), false));
    assert_eq!(ids(&directory, SelectorMode::Unicast), [3]);
    directory.apply(Record::Leave(EndpointId(3)));
    assert_eq!(ids(&directory, SelectorMode::Multicast), [1]);
    directory.apply(Record::Receiving(EndpointId(2), true));
    assert_eq!(ids(&directory, SelectorMode::Multicast), [2, 1]);
}

#[test]
fn a_word_finds_its_members_without_a_look_at_the_others() {
    let mut directory = Directory::default();
    for i in 0..1000 {
        let own = format!("own-{i}");
        directory.apply(Record::Join(member(i, i, &["all", &own])));
    }
    let candidates = |op: LabelOp| match directory.narrow(&op) {
        Candidates::All => 1000,
        Candidates::At(places) => places.len(),
        Candidates::None => 0,
    };
    assert_eq!(candidates("own-7".into()), 1);
    assert_eq!(candidates(LabelOp::from("all").and("own-7")), 1);
    assert_eq!(candidates(LabelOp::from("own-7").and("all")), 1);
    assert_eq!(candidates(LabelOp::from("own-7").and("nobody")), 0);
    assert_eq!(candidates(!LabelOp::from("own-7")), 1000);
}

#[test]
fn where_each_of_many_words_is_is_not_noted() {
    let mut directory = Directory::default();
    for id in 0..3 {
        let words: Vec<_> = (id..100).map(|number| number.to_string()).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        directory.apply(Record::Join(member(id, 9 - id, &words)));
    }
    directory.apply(Record::Join(member(3, 8, &["1"])));
    assert_eq!(directory.words.len(), 1);
    let with = |word: &str| directory.matching(&word.into(), SelectorMode::Multicast);
    let ids = |ids: &[u64]| ids.iter().copied().map(EndpointId).collect::<Vec<_>>();
    assert_eq!(with("1").to_vec(), ids(&[1, 3, 0]));
    assert_eq!(with("99").to_vec(), ids(&[2, 1, 0]));
    assert_eq!(with("100").to_vec(), ids(&[]));
    directory.apply(Record::Leave(EndpointId(1)));
    let first = directory.matching(&"1".into(), SelectorMode::Unicast);
    assert_eq!(first.to_vec(), ids(&[3]));
}

#[test]
fn members_that_share_an_order_are_both_there() {
    let mut directory = Directory::default();
    directory.apply(Record::Join(member(1, 5, &["a"])));
    directory.apply(Record::Join(member(2, 5, &["a"])));
    assert_eq!(directory.len(), 2);
    directory.apply(Record::Leave(EndpointId(1)));
    assert_eq!(directory.get(EndpointId(2)).map(|m| m.order), Some(5));
}

#[test]
fn a_record_ends_where_it_ends() {
    let mut wire = Record::Leave(EndpointId(1)).encode();
    wire.push(0);
    assert_eq!(Record::decode(&wire), Err(RecordError::TrailingBytes(1)));
    assert!(matches!(
        Record::decode(&[]),
        Err(RecordError::Malformed(_))
    ));
}

#[test]
fn who_has_left_again_is_not_decoded() {
    let (here, gone) = (member(1, 1, &["here"]), member(2, 2, &["gone"]));
    let records = [
        Record::Join(gone.clone()),
        Record::Leave(EndpointId(1)),
        Record::Join(here.clone()),
        Record::Receiving(EndpointId(2), false),
        Record::Receiving(EndpointId(1), false),
        Record::Leave(EndpointId(2)),
        Record::Receiving(EndpointId(1), true),
    ];
    let mut bytes: Vec<_> = records.iter().map(Record::encode).collect();
    bytes.insert(3, vec![9; 20]);
    let decoded: Vec<_> = Record::decode_all(&bytes).collect();
    let expected = [1, 2, 4, 5, 6].map(|index: usize| records[index].clone());
    assert_eq!(decoded, expected);
}

proptest! {
    #[test]
    fn behaves_like_a_list(records in prop::collection::vec(record(), 0..60), op in op()) {
        let wire: Vec<_> = records.iter().map(Record::encode).collect();
        let (mut directory, mut model) = (Directory::default(), Vec::new());
        for record in records {
            apply_to_list(&mut model, &record);
            let wire = record.encode();
            prop_assert_eq!(Record::decode(&wire), Ok(record.clone()));
            directory.apply(record);
        }
        prop_assert!(directory.iter().eq(&model));
        prop_assert_eq!(directory.len(), model.len());
        prop_assert_eq!(directory.is_empty(), model.is_empty());
        for id in (0..8).map(EndpointId) {
            prop_assert_eq!(directory.get(id), model.iter().find(|m| m.id == id));
        }

        let all: Vec<_> = model
            .iter()
            .filter(|m| m.receiving && op.validate(&m.label))
            .map(|m| m.id)
            .collect();
        let multicast = directory.matching(&op, SelectorMode::Multicast);
        prop_assert_eq!(multicast.as_slice(), &all[..]);
        let unicast = directory.matching(&op, SelectorMode::Unicast);
        prop_assert_eq!(unicast.as_slice(), &all[..all.len().min(1)]);

        let mut read = Directory::default();
        Record::decode_all(&wire).for_each(|record| read.apply(record));
        prop_assert_eq!(&read, &directory);

        let mut other = Directory::default();
        other.apply(Record::Join(member(99, 99, &["a"])));
        other.apply_snapshot(directory.snapshot());
        prop_assert_eq!(other, directory);
    }

    #[test]
    fn random_bytes_do_not_panic(wire in prop::collection::vec(0u8..5, 0..64)) {
        if let Ok(record) = Record::decode(&wire) {
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }
}

/// The plain model: a list, sorted whenever it changes.
fn apply_to_list(list: &mut Vec<Member>, record: &Record) {
    match record {
        Record::Join(member) => {
            list.retain(|m| m.id != member.id);
            list.push(member.clone());
            list.sort_by_key(|m| (m.order, m.id));
        }
        Record::Leave(id) | Record::GivenUp(id) => list.retain(|m| m.id != *id),
        Record::Receiving(id, receiving) => {
            for member in list.iter_mut().filter(|m| m.id == *id) {
                member.receiving = *receiving;
            }
        }
    }
}

fn member(id: u64, order: u64, words: &[&str]) -> Member {
    Member {
        id: EndpointId(id),
        order,
        pid: 1,
        uid: 2,
        label: Label::from(words),
        receiving: true,
        limits: ReceiveLimits {
            message: 3,
            budget: 4,
            overflow: Overflow::Block,
        },
    }
}

fn record() -> impl Strategy<Value = Record> {
    let id = || (0u64..8).prop_map(EndpointId);
    let join = (0u64..8, 0u64..20, prop::collection::vec("[a-d]", 0..6));
    let join = join.prop_map(|(id, order, words)| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        Record::Join(member(id, order, &words))
    });
    prop_oneof![
        3 => join,
        1 => id().prop_map(Record::Leave),
        1 => id().prop_map(Record::GivenUp),
        1 => (id(), any::<bool>()).prop_map(|(id, receiving)| Record::Receiving(id, receiving)),
    ]
}

fn op() -> impl Strategy<Value = LabelOp> {
    let leaf = prop_oneof![4 => "[a-d]".prop_map(LabelOp::from), 1 => Just(LabelOp::True)];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|op| !op),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| l.and(r)),
            (inner.clone(), inner).prop_map(|(l, r)| l.or(r)),
        ]
    })
}

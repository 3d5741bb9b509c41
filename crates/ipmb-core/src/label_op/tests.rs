use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    thread,
};

use proptest::prelude::*;

use super::*;

#[test]
fn operators_read_as_they_do_in_the_documentation() {
    let op = LabelOp::from("foo").and("bar").or(!LabelOp::from("baz"));
    assert_eq!(
        format!("{op:?}"),
        r#"Or(And(Leaf("foo"), Leaf("bar")), Not(Leaf("baz")))"#
    );
    assert_eq!(op.node_count(), 6);
    assert!(op.validate(&Label::from(["foo", "bar", "baz"])));
    assert!(op.validate(&Label::from(["foo"])));
    assert!(!op.validate(&Label::from(["foo", "baz"])));
    assert!(LabelOp::True.validate(&Label::default()));
    assert!(!LabelOp::False.validate(&Label::default()));
}

#[test]
fn required_words_come_from_conjunctions_only() {
    let op = LabelOp::from("a")
        .and(LabelOp::from("b").or("c"))
        .and(!LabelOp::from("d"))
        .and("e");
    assert!(op.required_words().eq(["a", "e"]));
}

#[test]
fn depth_is_no_matter() {
    for depth in [100_000, 1_000_000] {
        on_a_small_stack(move || {
            // Deep to the left, deep to the right, and deep in the middle.
            let mut left = LabelOp::from("x");
            let mut right = LabelOp::from("x");
            let mut not = LabelOp::from("x");
            for _ in 0..depth {
                left = left.and("x");
                right = LabelOp::from("y").or(right);
                not = !not;
            }
            let label = Label::from(["x"]);
            for op in [left, right, not] {
                assert!(op.validate(&label));
                let copy = op.clone();
                assert!(op == copy);
                assert_eq!(hash(&op), hash(&copy));
                assert!(op != LabelOp::from("x"));
                assert!(format!("{op:?}").len() > depth);
                assert!(op.node_count() > depth);
                assert!(op.required_words().all(|word| word == "x"));
                let wire = postcard::to_stdvec(&op).unwrap();
                assert!(op == postcard::from_bytes(&wire).unwrap());
            }
        });
    }
}

#[test]
fn malformed_expressions_are_errors() {
    let decode = |wire: &[u8]| postcard::from_bytes::<LabelOp>(wire);
    // A length, then tokens: 0 True, 1 False, 2 Leaf, 3 Not, 4 And, 5 Or.
    assert_eq!(decode(&[1, 0]), Ok(LabelOp::True));
    assert_eq!(decode(&[3, 5, 0, 1]), Ok(LabelOp::True.or(LabelOp::False)));
    assert!(decode(&[0]).is_err(), "nothing");
    assert!(decode(&[1, 3]).is_err(), "an operand is missing");
    assert!(decode(&[2, 4, 0]).is_err(), "one of two is missing");
    assert!(decode(&[2, 0, 0]).is_err(), "one too many");
    assert!(decode(&[1, 9]).is_err(), "no such operator");
    assert!(decode(&[2, 2, 200]).is_err(), "a word that is cut off");
}

#[test]
fn an_expression_past_the_bound_is_an_error() {
    let wire = |nots: usize| {
        let mut tokens = vec![3; nots];
        tokens.push(0);
        let mut wire = postcard::to_stdvec(&tokens.len()).unwrap();
        wire.extend(tokens);
        wire
    };
    assert!(postcard::from_bytes::<LabelOp>(&wire(MAX_LABEL_OP_NODES)).is_err());
    assert!(postcard::from_bytes::<LabelOp>(&wire(MAX_LABEL_OP_NODES - 1)).is_ok());
}

proptest! {
    #[test]
    fn behaves_like_the_recursive_definition(plan in plan(), other in self::plan(), words in words()) {
        let op = build(&plan);
        let label = Label::from(words);
        prop_assert_eq!(op.validate(&label), naive(&op, &label));
        prop_assert_eq!(format!("{op:?}"), format!("{plan:?}"));
        prop_assert_eq!(op == build(&other), plan == other);
        prop_assert_eq!(hash(&op), hash(&op.clone()));
        prop_assert_eq!(&op.clone(), &op);
        if op.validate(&label) {
            prop_assert!(label.all(op.required_words().map(SmolStr::as_str)));
        }
        let wire = postcard::to_stdvec(&op).unwrap();
        prop_assert_eq!(postcard::from_bytes::<LabelOp>(&wire).unwrap(), op);
    }

    #[test]
    fn random_bytes_do_not_panic(wire in prop::collection::vec(0u8..8, 0..64)) {
        if let Ok(op) = postcard::from_bytes::<LabelOp>(&wire) {
            prop_assert_eq!(postcard::to_stdvec(&op).unwrap(), &wire[..op_len(&op)]);
        }
    }
}

/// The plain model: what the expression would be with everything derived.
#[derive(Debug, Clone, PartialEq)]
enum Plan {
    True,
    False,
    Leaf(String),
    Not(Box<Plan>),
    And(Box<Plan>, Box<Plan>),
    Or(Box<Plan>, Box<Plan>),
}

fn plan() -> impl Strategy<Value = Plan> {
    let leaf = prop_oneof![
        Just(Plan::True),
        Just(Plan::False),
        "[a-c]".prop_map(Plan::Leaf)
    ];
    leaf.prop_recursive(6, 40, 2, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Plan::Not),
            (boxed(), boxed()).prop_map(|(l, r)| Plan::And(l, r)),
            (boxed(), boxed()).prop_map(|(l, r)| Plan::Or(l, r)),
        ]
    })
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-c]", 0..3)
}

fn build(plan: &Plan) -> LabelOp {
    match plan {
        Plan::True => LabelOp::True,
        Plan::False => LabelOp::False,
        Plan::Leaf(word) => LabelOp::from(word.as_str()),
        Plan::Not(operand) => !build(operand),
        Plan::And(left, right) => build(left).and(build(right)),
        Plan::Or(left, right) => build(left).or(build(right)),
    }
}

fn naive(op: &LabelOp, label: &Label) -> bool {
    match op {
        LabelOp::True => true,
        LabelOp::False => false,
        LabelOp::Leaf(word) => label.iter().any(|w| w == word),
        LabelOp::Not(operand) => !naive(operand, label),
        LabelOp::And(left, right) => naive(left, label) && naive(right, label),
        LabelOp::Or(left, right) => naive(left, label) || naive(right, label),
    }
}

fn hash(op: &LabelOp) -> u64 {
    let mut hasher = DefaultHasher::new();
    op.hash(&mut hasher);
    hasher.finish()
}

fn op_len(op: &LabelOp) -> usize {
    postcard::to_stdvec(op).unwrap().len()
}

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(128 << 10);
    thread.spawn(test).unwrap().join().unwrap();
}

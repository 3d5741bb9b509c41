//! Labels, expressions over them, selectors.

use std::hash::{DefaultHasher, Hash, Hasher};

use ipmb_core::{Label, LabelOp, Selector};

use crate::wire::postcard_round_trip;

/// Labels are sets, and expressions mean what they say, whoever encoded them.
///
/// The first byte says how much of the rest is a label; an expression follows.
pub fn selector(data: &[u8]) {
    let Some((&at, rest)) = data.split_first() else {
        return;
    };
    postcard_round_trip::<Selector>(rest);
    let Some((label, op)) = rest.split_at_checked(usize::from(at)) else {
        return;
    };
    let label = postcard_round_trip::<Label>(label).unwrap_or_default();
    check_label(&label);
    if let Some(op) = postcard_round_trip::<LabelOp>(op) {
        check_op(&op, &label);
    }
}

fn check_label(label: &Label) {
    let words: Vec<&str> = label.iter().collect();
    assert!(words.is_sorted_by(|one, other| one < other));
    assert!(words.iter().all(|word| label.contains(word)));
    let bytes: usize = words.iter().map(|word| word.len()).sum();
    assert_eq!(label.size_in_bytes(), bytes);
    let backwards = Label::from(words.iter().rev().chain(&words));
    assert_eq!(&backwards, label);
}

fn check_op(op: &LabelOp, label: &Label) {
    assert_eq!(op.validate(label), means(op, label));
    assert_eq!((!op.clone()).validate(label), !means(op, label));
    assert_eq!(op.node_count(), nodes(op));
    let clone = op.clone();
    assert_eq!(&clone, op);
    assert_eq!(hash(&clone), hash(op));
    let selector = Selector::multicast(clone);
    assert_eq!(&selector.label_op, op);
    assert!(!format!("{op:?}").is_empty());
}

fn hash(op: &LabelOp) -> u64 {
    let mut hasher = DefaultHasher::new();
    op.hash(&mut hasher);
    hasher.finish()
}

/// What an expression means. Inputs are short, so this may recurse.
pub(crate) fn means(op: &LabelOp, label: &Label) -> bool {
    match op {
        LabelOp::True => true,
        LabelOp::False => false,
        LabelOp::Leaf(word) => label.contains(word),
        LabelOp::Not(operand) => !means(operand, label),
        LabelOp::And(left, right) => means(left, label) & means(right, label),
        LabelOp::Or(left, right) => means(left, label) | means(right, label),
    }
}

fn nodes(op: &LabelOp) -> usize {
    match op {
        LabelOp::True | LabelOp::False | LabelOp::Leaf(_) => 1,
        LabelOp::Not(operand) => 1 + nodes(operand),
        LabelOp::And(left, right) | LabelOp::Or(left, right) => 1 + nodes(left) + nodes(right),
    }
}

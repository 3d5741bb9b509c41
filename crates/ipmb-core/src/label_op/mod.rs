//! A boolean expression over labels.
//!
//! Users build expressions in loops, and peers send what they like, so an expression can be a million
//! levels deep. Nothing here recurses: every walk keeps its own stack on the heap.

mod tokens;
mod traits;
mod wire;

#[cfg(test)]
mod tests;

use std::ops;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::Label;
use tokens::Preorder;
pub use wire::MAX_LABEL_OP_NODES;

/// A boolean expression over the words of a label.
///
/// ```
/// use ipmb_core::{Label, LabelOp};
///
/// let op = LabelOp::from("camera").and(!LabelOp::from("left"));
/// assert!(op.validate(&Label::from(["camera", "right"])));
/// assert!(!op.validate(&Label::from(["camera", "left"])));
/// ```
///
/// Any depth is fine: nothing about it recurses, dropping included.
pub enum LabelOp {
    /// Every label.
    True,
    /// No label.
    False,
    /// Labels that contain the word.
    Leaf(SmolStr),
    /// Labels that do not satisfy the operand.
    Not(Box<Self>),
    /// Labels that satisfy both operands.
    And(Box<Self>, Box<Self>),
    /// Labels that satisfy at least one operand.
    Or(Box<Self>, Box<Self>),
}

impl LabelOp {
    /// Labels that satisfy this and `v`.
    pub fn and(self, v: impl Into<Self>) -> Self {
        Self::And(Box::new(self), Box::new(v.into()))
    }

    /// Labels that satisfy this or `v`.
    pub fn or(self, v: impl Into<Self>) -> Self {
        Self::Or(Box::new(self), Box::new(v.into()))
    }

    /// Whether `label` satisfies the expression.
    ///
    /// Operands are looked at from left to right, and no further than necessary.
    pub fn validate(&self, label: &Label) -> bool {
        enum Pending<'a> {
            Not,
            And(&'a LabelOp),
            Or(&'a LabelOp),
        }
        let mut pending = SmallVec::<[Pending<'_>; 8]>::new();
        let mut node = self;
        'down: loop {
            let mut value = match node {
                Self::True => true,
                Self::False => false,
                Self::Leaf(word) => label.contains(word),
                Self::Not(operand) => {
                    pending.push(Pending::Not);
                    node = operand;
                    continue 'down;
                }
                Self::And(left, right) => {
                    pending.push(Pending::And(right));
                    node = left;
                    continue 'down;
                }
                Self::Or(left, right) => {
                    pending.push(Pending::Or(right));
                    node = left;
                    continue 'down;
                }
            };
            while let Some(above) = pending.pop() {
                match above {
                    Pending::Not => value = !value,
                    Pending::And(right) if value => {
                        node = right;
                        continue 'down;
                    }
                    Pending::Or(right) if !value => {
                        node = right;
                        continue 'down;
                    }
                    // The left operand has settled it.
                    Pending::And(_) | Pending::Or(_) => {}
                }
            }
            return value;
        }
    }

    /// Whether there is nothing below this node.
    #[inline]
    fn is_leaf(&self) -> bool {
        matches!(self, Self::True | Self::False | Self::Leaf(_))
    }

    /// The number of operators and operands. Takes time in proportion to it.
    pub fn node_count(&self) -> usize {
        Preorder::of(self).count()
    }

    /// The words in it added up, in bytes.
    pub fn size_in_bytes(&self) -> usize {
        Preorder::of(self)
            .map(|node| match node {
                Self::Leaf(word) => word.len(),
                _ => 0,
            })
            .sum()
    }

    /// Words that every label that satisfies the expression contains: enough to narrow a search, not
    /// necessarily all of them.
    pub(crate) fn required_words(&self) -> impl Iterator<Item = &SmolStr> {
        let mut todo = SmallVec::<[&Self; 8]>::new();
        todo.push(self);
        std::iter::from_fn(move || {
            while let Some(node) = todo.pop() {
                match node {
                    Self::Leaf(word) => return Some(word),
                    Self::And(left, right) => todo.extend([&**right, &**left]),
                    Self::True | Self::False | Self::Not(_) | Self::Or(..) => {}
                }
            }
            None
        })
    }
}

impl<T: Into<SmolStr>> From<T> for LabelOp {
    fn from(word: T) -> Self {
        Self::Leaf(word.into())
    }
}

impl ops::Not for LabelOp {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

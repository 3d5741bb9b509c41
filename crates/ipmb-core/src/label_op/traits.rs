//! What `derive` would write with recursion.

use std::{
    fmt,
    hash::{Hash, Hasher},
    mem,
};

use smallvec::{SmallVec, smallvec};

use super::{
    LabelOp,
    tokens::{Holes, Preorder, Token},
};

impl Drop for LabelOp {
    #[inline]
    fn drop(&mut self) {
        if !self.is_leaf() {
            drop_operands(self);
        }
    }
}

/// Drops what is below a node without recursion.
fn drop_operands(node: &mut LabelOp) {
    // Takes the nested operands out of a node, so that dropping it does not recurse. Operands that
    // are leaves stay where they are: a flat expression is dropped without an allocation.
    fn take_operands(node: &mut LabelOp, taken: &mut Vec<LabelOp>) {
        let mut take = |operand: &mut LabelOp| {
            if !operand.is_leaf() {
                taken.push(mem::replace(operand, LabelOp::False));
            }
        };
        match node {
            LabelOp::True | LabelOp::False | LabelOp::Leaf(_) => {}
            LabelOp::Not(operand) => take(operand),
            LabelOp::And(left, right) | LabelOp::Or(left, right) => {
                take(left);
                take(right);
            }
        }
    }
    let mut taken = Vec::new();
    take_operands(node, &mut taken);
    while let Some(mut node) = taken.pop() {
        take_operands(&mut node, &mut taken);
    }
}

impl Clone for LabelOp {
    // Inlined, the word would be taken apart, and stored in other pieces than it is loaded in soon after: the processor
    // waits for that each time.
    #[inline(never)]
    fn clone(&self) -> Self {
        match self {
            Self::True => return Self::True,
            Self::False => return Self::False,
            Self::Leaf(word) => return Self::Leaf(word.clone()),
            _ => {}
        }
        let mut root = Self::False;
        let mut holes = Holes::of(&mut root);
        for node in Preorder::of(self) {
            holes.fill(Token::of(node).to_owned());
        }
        drop(holes);
        root
    }
}

impl PartialEq for LabelOp {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        if let (Self::Leaf(one), Self::Leaf(other)) = (self, other) {
            return one == other;
        }
        let tokens = |op| Preorder::of(op).map(Token::of);
        tokens(self).eq(tokens(other))
    }
}

impl Eq for LabelOp {}

impl Hash for LabelOp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for node in Preorder::of(self) {
            Token::of(node).hash(state);
        }
    }
}

/// As derived, on one line.
impl fmt::Debug for LabelOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        enum Piece<'a> {
            Text(&'static str),
            Node(&'a LabelOp),
        }
        let mut todo: SmallVec<[Piece<'_>; 8]> = smallvec![Piece::Node(self)];
        while let Some(piece) = todo.pop() {
            let node = match piece {
                Piece::Text(text) => {
                    f.write_str(text)?;
                    continue;
                }
                Piece::Node(node) => node,
            };
            match node {
                Self::True => f.write_str("True")?,
                Self::False => f.write_str("False")?,
                Self::Leaf(word) => write!(f, "Leaf({word:?})")?,
                Self::Not(operand) => {
                    f.write_str("Not(")?;
                    todo.extend([Piece::Text(")"), Piece::Node(operand)]);
                }
                Self::And(left, right) | Self::Or(left, right) => {
                    let and = matches!(node, Self::And(..));
                    f.write_str(if and { "And(" } else { "Or(" })?;
                    todo.extend([
                        Piece::Text(")"),
                        Piece::Node(right),
                        Piece::Text(", "),
                        Piece::Node(left),
                    ]);
                }
            }
        }
        Ok(())
    }
}

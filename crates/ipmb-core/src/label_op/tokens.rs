//! An expression as a flat sequence of tokens, operator first (Polish notation). Since every operator
//! has a fixed number of operands, the sequence says as much as the tree does.

use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};
use smol_str::SmolStr;

use super::LabelOp;

/// An operator or operand. The order of the variants is wire format.
#[derive(PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Token<S> {
    True,
    False,
    Leaf(S),
    Not,
    And,
    Or,
}

impl<'a> Token<&'a SmolStr> {
    pub(super) fn of(node: &'a LabelOp) -> Self {
        match node {
            LabelOp::True => Self::True,
            LabelOp::False => Self::False,
            LabelOp::Leaf(word) => Self::Leaf(word),
            LabelOp::Not(_) => Self::Not,
            LabelOp::And(..) => Self::And,
            LabelOp::Or(..) => Self::Or,
        }
    }

    pub(super) fn to_owned(&self) -> Token<SmolStr> {
        match *self {
            Self::True => Token::True,
            Self::False => Token::False,
            Self::Leaf(word) => Token::Leaf(word.clone()),
            Self::Not => Token::Not,
            Self::And => Token::And,
            Self::Or => Token::Or,
        }
    }
}

/// Every node of an expression, each before its operands, the left one first.
pub(super) struct Preorder<'a>(SmallVec<[&'a LabelOp; 8]>);

impl<'a> Preorder<'a> {
    pub(super) fn of(root: &'a LabelOp) -> Self {
        Self(smallvec![root])
    }
}

impl<'a> Iterator for Preorder<'a> {
    type Item = &'a LabelOp;

    fn next(&mut self) -> Option<&'a LabelOp> {
        let node = self.0.pop()?;
        match node {
            LabelOp::True | LabelOp::False | LabelOp::Leaf(_) => {}
            LabelOp::Not(operand) => self.0.push(operand),
            LabelOp::And(left, right) | LabelOp::Or(left, right) => {
                self.0.extend([&**right, &**left]);
            }
        }
        Some(node)
    }
}

/// Builds an expression from its tokens: the places that still wait for one, the next one last.
pub(super) struct Holes<'a>(SmallVec<[&'a mut LabelOp; 8]>);

impl<'a> Holes<'a> {
    pub(super) fn of(root: &'a mut LabelOp) -> Self {
        Self(smallvec![root])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the token into the next place. False if the expression is complete already.
    pub(super) fn fill(&mut self, token: Token<SmolStr>) -> bool {
        let Some(hole) = self.0.pop() else {
            return false;
        };
        let empty = || Box::new(LabelOp::False);
        *hole = match token {
            Token::True => LabelOp::True,
            Token::False => LabelOp::False,
            Token::Leaf(word) => LabelOp::Leaf(word),
            Token::Not => LabelOp::Not(empty()),
            Token::And => LabelOp::And(empty(), empty()),
            Token::Or => LabelOp::Or(empty(), empty()),
        };
        match hole {
            LabelOp::True | LabelOp::False | LabelOp::Leaf(_) => {}
            LabelOp::Not(operand) => self.0.push(operand),
            LabelOp::And(left, right) | LabelOp::Or(left, right) => {
                self.0.extend([&mut **right, &mut **left]);
            }
        }
        true
    }
}

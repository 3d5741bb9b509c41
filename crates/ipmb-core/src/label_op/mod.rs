//! A boolean expression over labels.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A boolean expression over the words of a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

//! Who an endpoint is.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

/// The set of words that an endpoint goes by. Senders address it by expressions over them
/// ([`LabelOp`](crate::LabelOp)).
///
/// A set: inserting a word twice is inserting it once, and two labels of the same words are equal
/// whatever the order they were inserted in.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Label(SmallVec<[SmolStr; 4]>);

//! Serde: the tokens as one flat sequence, so that neither side recurses.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeSeq,
};
use smol_str::SmolStr;

use super::{
    LabelOp,
    tokens::{Holes, Preorder, Token},
};

/// The most operators and operands that an expression from the wire can have; a larger one is an
/// error. Enough for a chain of a million `and`s.
pub const MAX_LABEL_OP_NODES: usize = 1 << 21;

impl Serialize for LabelOp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Counted first, because compact formats want the length in front.
        let mut sequence = serializer.serialize_seq(Some(self.node_count()))?;
        for node in Preorder::of(self) {
            sequence.serialize_element(&Token::of(node))?;
        }
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for LabelOp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Tokens)
    }
}

struct Tokens;

impl<'de> Visitor<'de> for Tokens {
    type Value = LabelOp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label expression, as a sequence of operators and operands, operators first")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<LabelOp, A::Error> {
        let mut root = LabelOp::False;
        read_tokens(&mut root, &mut sequence)?;
        Ok(root)
    }
}

fn read_tokens<'de, A: SeqAccess<'de>>(
    root: &mut LabelOp,
    sequence: &mut A,
) -> Result<(), A::Error> {
    let mut holes = Holes::of(root);
    let mut room = MAX_LABEL_OP_NODES;
    while let Some(token) = sequence.next_element::<Token<SmolStr>>()? {
        if room == 0 {
            return Err(A::Error::custom(format_args!(
                "a label expression has more than {MAX_LABEL_OP_NODES} operators and operands"
            )));
        }
        room -= 1;
        if !holes.fill(token) {
            return Err(A::Error::custom("operands left over in a label expression"));
        }
    }
    if holes.is_empty() {
        Ok(())
    } else {
        Err(A::Error::custom("operands missing in a label expression"))
    }
}

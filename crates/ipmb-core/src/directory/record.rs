//! What the controller publishes: the log of the directory.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{EndpointId, Label, ReceiveLimits};

/// An endpoint, as everybody on the bus knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: EndpointId,
    /// When it joined, in nanoseconds of the boot-time clock. Unique: it settles who joined first.
    pub order: u64,
    /// Its process.
    pub pid: u32,
    /// The user whose process that is.
    pub uid: u32,
    /// Its label.
    pub label: Label,
    /// Whether it receives. Messages pass it by if not.
    pub receiving: bool,
    /// What it accepts.
    pub limits: ReceiveLimits,
}

/// One change of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A member is there, or is there with other properties.
    Join(Member),
    /// A member is gone.
    Leave(EndpointId),
    /// A member started or stopped receiving.
    Receiving(EndpointId, bool),
    /// A member has not come back to a new controller, though its process may live. It is gone but for those whose messages
    /// it still reads.
    GivenUp(EndpointId),
}

impl Member {
    /// What it costs: what it takes in the directory's log (a length of four bytes, and its record), and what
    /// each word takes in memory, with everybody: otherwise a million words of three letters would be as
    /// cheap as one long one.
    pub fn cost(&self) -> usize {
        let bare = Self {
            label: Label::default(),
            ..*self
        };
        bare.cost_with(&self.label)
    }

    /// The same for one that does not have its label yet. That is not encoded, which takes long where there
    /// are many words.
    pub(crate) fn cost_with(self, label: &Label) -> usize {
        const WORD: usize = 64;
        let rest = 4 + Record::Join(self).encode().len() - Label::default().encoded_len();
        rest + label.encoded_len() + label.words().len() * WORD
    }
}

impl Record {
    /// The record as it stands in the log, in postcard's encoding.
    pub fn encode(&self) -> Vec<u8> {
        // Cannot fail: all lengths are known, and the vector grows. An empty record would be refused.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads a record. `bytes` must be private memory and exactly one record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if [`encode`](Self::encode) did not write it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match postcard::take_from_bytes(bytes) {
            Ok((record, [])) => Ok(record),
            Ok((_, rest)) => Err(RecordError::TrailingBytes(rest.len())),
            Err(error) => Err(RecordError::Malformed(error)),
        }
    }

    /// Reads records that follow each other. What does not decode is left out, and so are those of members of which a
    /// later record says that they have left: labels may be long, and who comes and goes is not to keep others busy.
    pub fn decode_all(records: &[Vec<u8>]) -> impl Iterator<Item = Self> {
        let mut left = BTreeSet::new();
        let mut kept = Vec::new();
        for bytes in records.iter().rev() {
            // All kinds begin with what they are and the id.
            match postcard::take_from_bytes::<(u32, EndpointId)>(bytes) {
                Ok(((_, id), _)) if left.contains(&id) => continue,
                Ok(((Self::LEAVE, id), _)) => drop(left.insert(id)),
                _ => {}
            }
            kept.push(bytes);
        }
        kept.into_iter()
            .rev()
            .filter_map(|bytes| Self::decode(bytes).ok())
    }

    /// What [`Record::Leave`] begins with.
    const LEAVE: u32 = 1;
}

/// A record that no controller of this version writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It does not decode.
    #[error(
        "a record of the directory is malformed ({0}): the controller is broken or hostile, leave the bus"
    )]
    Malformed(#[source] postcard::Error),
    /// It goes on after its end.
    #[error(
        "a record of the directory has {0} bytes too many: the controller is broken or hostile, leave the bus"
    )]
    TrailingBytes(usize),
}

//! Whom a message is for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::LabelOp;

/// To how many of the matching endpoints a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SelectorMode {
    /// To exactly one: of those that match, the one that joined first.
    Unicast,
    /// To all that match, the sender's own endpoint included.
    Multicast,
}

/// An expression over labels, how many of those that match are meant, and how long to wait for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Selector {
    /// Which labels match.
    pub label_op: LabelOp,
    /// One of them or all.
    pub mode: SelectorMode,
    /// How long a message that matches nobody is parked for the first that does. Zero: it is dropped.
    pub ttl: Duration,
}

impl Selector {
    /// The first endpoint whose label satisfies `label_op`, with a ttl of zero.
    pub fn unicast(label_op: impl Into<LabelOp>) -> Self {
        Self::new(label_op.into(), SelectorMode::Unicast)
    }

    /// Every endpoint whose label satisfies `label_op`, with a ttl of zero.
    pub fn multicast(label_op: impl Into<LabelOp>) -> Self {
        Self::new(label_op.into(), SelectorMode::Multicast)
    }

    fn new(label_op: LabelOp, mode: SelectorMode) -> Self {
        Self {
            label_op,
            mode,
            ttl: Duration::ZERO,
        }
    }
}

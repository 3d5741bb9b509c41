//! Messages that were met on the way to a reply.

use super::attachments::Incoming;
use ipmb_core::Quota;
use std::collections::VecDeque;

/// Messages that nobody has received yet, though they are not in their lanes any more, in order.
pub(super) struct Kept {
    messages: VecDeque<(Incoming, Vec<u8>)>,
    /// What they take.
    bytes: u64,
    limit: u64,
}

impl Kept {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether no more is to be kept.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    /// What of it is used, in bytes.
    pub(super) fn quota(&self) -> Quota {
        Quota::new(self.bytes, self.limit)
    }

    pub(super) fn push(&mut self, incoming: Incoming, bytes: Vec<u8>) {
        self.bytes += cost(&incoming, &bytes);
        self.messages.push_back((incoming, bytes));
    }

    pub(super) fn pop(&mut self) -> Option<(Incoming, Vec<u8>)> {
        let (incoming, bytes) = self.messages.pop_front()?;
        self.bytes -= cost(&incoming, &bytes);
        Some((incoming, bytes))
    }
}

/// Descriptors are dearer than memory, but there is no more of them than messages that brought them.
fn cost(incoming: &Incoming, bytes: &Vec<u8>) -> u64 {
    (size_of_val(incoming) + bytes.capacity()) as u64
}

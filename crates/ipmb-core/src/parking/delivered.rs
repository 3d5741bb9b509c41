//! The memory of what has arrived.

use std::collections::{BTreeSet, VecDeque};

use crate::ParkId;

/// The parked messages that arrived lately: who parks one of them again has not heard of it.
#[derive(Debug)]
pub(crate) struct Delivered {
    ids: BTreeSet<ParkId>,
    oldest_first: VecDeque<ParkId>,
    limit: usize,
}

impl Delivered {
    /// Remembers the last `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            ids: BTreeSet::new(),
            oldest_first: VecDeque::new(),
            limit,
        }
    }

    pub(crate) fn insert(&mut self, id: ParkId) {
        if !self.ids.insert(id) {
            return;
        }
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > self.limit
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, id: ParkId) -> bool {
        self.ids.contains(&id)
    }
}

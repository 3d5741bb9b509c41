//! The memory of what has arrived.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use crate::{EndpointId, ParkId};

/// The parked messages that arrived lately: who parks one of them again has not heard of it.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// Where each went, if that is known.
    ids: BTreeMap<ParkId, Option<EndpointId>>,
    oldest_first: VecDeque<ParkId>,
    limit: usize,
}

impl Delivered {
    /// Remembers the last `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            ids: BTreeMap::new(),
            oldest_first: VecDeque::new(),
            limit,
        }
    }

    pub(crate) fn insert(&mut self, id: ParkId, to: Option<EndpointId>) {
        let Entry::Vacant(entry) = self.ids.entry(id) else {
            return;
        };
        entry.insert(to);
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > self.limit
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.ids.len(), self.oldest_first.len());
        self.ids.len()
    }

    /// Where it went; `None` if it has not arrived lately.
    pub(crate) fn get(&self, id: ParkId) -> Option<Option<EndpointId>> {
        self.ids.get(&id).copied()
    }
}

//! What was parked with the controller, and which parked messages have come already.

use super::{Delivery, PairId};
use ipmb_core::ParkId;
use std::collections::VecDeque;

/// So many ids of parked messages are remembered, lest one come twice.
const REMEMBERED: usize = 4096;

#[derive(Default)]
pub(super) struct Parked {
    waiting: VecDeque<Waiting>,
    seen: VecDeque<ParkId>,
}

struct Waiting {
    delivery: Delivery,
    /// What stands in these lanes its sender has sent before it: this endpoint was given up, as one whose process was
    /// stopped for long, and has come back.
    behind: Vec<PairId>,
}

impl Parked {
    pub(super) fn push(&mut self, delivery: Delivery, behind: Vec<PairId>) {
        self.waiting.push_back(Waiting { delivery, behind });
    }

    /// It could not be opened yet.
    pub(super) fn put_back(&mut self, delivery: Delivery) {
        let behind = Vec::new();
        self.waiting.push_front(Waiting { delivery, behind });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The first that has not come before, and in front of which nothing has to be read. What it leaves behind of the
    /// same sender waits for the same and more.
    pub(super) fn next(&mut self, is_read: impl Fn(PairId) -> bool) -> Option<Delivery> {
        self.waiting
            .retain(|it| !self.seen.contains(&it.delivery.id));
        let is_due = |it: &Waiting| it.behind.iter().all(|pair| is_read(*pair));
        let at = self.waiting.iter().position(is_due)?;
        Some(self.waiting.remove(at)?.delivery)
    }

    /// Takes note of one. Whether it has not come before.
    pub(super) fn is_new(&mut self, id: ParkId) -> bool {
        if self.seen.contains(&id) {
            return false;
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(id);
        true
    }
}

//! What was parked with the controller, and which parked messages have come already.

use super::{super::OURSELVES, Delivery, Incoming, PairId, PullError, RecvError, Rx, Source};
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

impl Rx {
    pub(super) fn keep_parked(&mut self, delivery: Delivery) {
        let sender = delivery.id.sender;
        let sources = self.sources.iter().flatten();
        let same = sources.filter(|it| it.endpoint == sender && it.pair != OURSELVES);
        let behind = same.map(|source| source.pair).collect();
        self.parked.push(delivery, behind);
    }

    pub(super) fn next_parked(&mut self) -> Result<Option<Incoming>, RecvError> {
        while let Some(mut delivery) = self.first_parked() {
            match delivery.open() {
                Ok(incoming) => {
                    self.parked.is_new(delivery.id);
                    if incoming.correlation.is_some() && !self.askers.contains(&incoming.from) {
                        self.askers.push(incoming.from);
                    }
                    self.buffer = delivery.body;
                    let size = self.payload(&incoming).size();
                    if size as u64 <= self.limits.message {
                        return Ok(Some(incoming));
                    }
                    // Its sender could not know our limit.
                    tracing::warn!(size, "a parked message is too large");
                    self.statistics.skipped += 1;
                }
                Err(PullError::Resources(error)) => {
                    self.parked.put_back(delivery);
                    return Err(RecvError::Resources(error));
                }
                Err(PullError::Malformed(why)) => {
                    self.parked.is_new(delivery.id);
                    tracing::warn!(%why, "a parked message is malformed: dropped");
                }
            }
        }
        Ok(None)
    }

    fn first_parked(&mut self) -> Option<Delivery> {
        let sources = &self.sources;
        let has_news = |pair, it: &Source| it.pair == pair && it.has_news();
        let is_read = |pair| !sources.iter().flatten().any(|it| has_news(pair, it));
        self.parked.next(is_read)
    }

    /// Whether it was not parked, or has not come before.
    pub(super) fn is_new(&mut self, incoming: &Incoming) -> bool {
        (incoming.parked.as_ref()).is_none_or(|id| self.parked.is_new(**id))
    }
}

//! The endpoint's own parked messages: parked again with a new controller, sent when somebody
//! matches after all, dropped when their time is up.

use super::{Driver, LACK_TIME, Later, token};
use crate::{
    SendError,
    endpoint::{Endpoint, Flushed, Link, ParkState, ParkedMessage},
    inbox::NoReply,
    peer::{Attempt, Outbound, Progress},
    region::Flight,
};
use ipmb_core::{EndpointId, ToController};
use ipmb_sys::{Interest, boot_time_ns};
use std::{os::fd::AsFd, time::Instant};

/// The controller says when a message has expired; only if there is none do we.
const GRACE_NS: u64 = 250_000_000;
/// So long after its ttl a message is not tried any more with somebody whom the controller knows and we cannot reach.
const OVERDUE_NS: u64 = 10_000_000_000;

impl Driver {
    pub(super) fn settle(&mut self, sequence: u64, state: Option<ParkState>) {
        let mut link = self.endpoint.link();
        if state.is_none()
            && let Some(message) = link.parked.entries.get_mut(&sequence)
        {
            // The holds belong to whoever has received the message.
            message.flights.clear();
        }
        self.endpoint.settle_parked(&mut link, sequence, state);
        drop(link);
        self.endpoint.room.announce();
    }

    /// A message has arrived, there if it is known where.
    pub(super) fn delivered(&mut self, sequence: u64, to: Option<EndpointId>) {
        if let Some(number) = self.request_in(sequence)
            && let Some(to) = to
        {
            self.endpoint.parked_request_went_to(number, to);
        }
        self.settle(sequence, None);
    }

    /// The controller cannot keep a message.
    pub(super) fn refuse(&mut self, sequence: u64, why: String) {
        let request = self.request_in(sequence);
        let error = SendError::ParkRefused(why.clone());
        self.endpoint.parked_request_failed(request, error.into());
        self.settle(sequence, Some(ParkState::Refused(why)));
    }

    /// The number under which a reply to the message is expected.
    fn request_in(&self, sequence: u64) -> Option<u64> {
        let link = self.endpoint.link();
        link.parked.entries.get(&sequence)?.request
    }

    pub(super) fn expire(&mut self, sequence: u64) {
        let request = self.request_in(sequence);
        self.endpoint
            .parked_request_failed(request, NoReply::Expired);
        let mut link = self.endpoint.link();
        if let Some(message) = link.parked.entries.get_mut(&sequence) {
            message.flights.drain(..).for_each(Flight::recall);
        }
        self.endpoint.settle_parked(&mut link, sequence, None);
    }

    /// The time of a message is over and the controller, if there is one, does not say so: it may be stopped,
    /// and count the time from when it hears of the message.
    fn withdraw(&mut self, sequence: u64) {
        let mut link = self.endpoint.link();
        let withdrawal = ToController::Withdraw { sequence };
        self.endpoint.tell_controller(&mut link, &withdrawal);
        let hopeless = link.is_hopeless();
        let Some(message) = link.parked.entries.get_mut(&sequence) else {
            return;
        };
        tracing::debug!(sequence, state = ?message.state, "the time of a parked message is over");
        message.withdrawn = true;
        // Somebody may have it, or have come for it in time: the controller says what becomes of it.
        let is_open = message.was_held && !hopeless;
        drop(link);
        if !is_open {
            self.expire(sequence);
        }
    }

    pub(super) fn next_expiry(&self) -> Option<u64> {
        let link = self.endpoint.link();
        let messages = link.parked.entries.values();
        let hopeless = link.is_hopeless();
        let ends = messages.clone().filter(|message| message.ends(hopeless));
        let deadlines = ends.map(|message| message.deadline);
        let next = deadlines.min().map(|at| at.saturating_add(GRACE_NS));
        // Those that wait for the word of a controller wait no longer when there is none.
        let mut withdrawn = messages.filter(|message| message.waits() && message.withdrawn);
        let hopeless_at = link
            .hopeless_at()
            .filter(|_| !hopeless && withdrawn.next().is_some());
        let left = hopeless_at.map(|at| at.saturating_duration_since(Instant::now()));
        let then = left.map(|left| boot_time_ns().saturating_add(left.as_nanos() as u64));
        [next, then].into_iter().flatten().min()
    }

    /// Sends those parked messages that have a receiver now.
    pub(super) fn send_parked(&mut self) {
        let link = self.endpoint.link();
        if link.parked.entries.is_empty() {
            return;
        }
        let now = boot_time_ns().saturating_sub(GRACE_NS);
        let hopeless = link.is_hopeless();
        let ends = |message: &ParkedMessage| message.ends(hopeless) && message.deadline <= now;
        let expired = link.parked.which(ends);
        let is_routable = |state: &ParkState| matches!(state, ParkState::Routable { .. });
        let routable = (link.parked).which(|message| is_routable(&message.state));
        drop(link);
        expired
            .into_iter()
            .for_each(|sequence| self.withdraw(sequence));
        let mut waiting = false;
        for sequence in routable {
            if self.is_behind(sequence) {
                break; // until it is known what becomes of another one
            }
            if !self.send_one(sequence) {
                waiting = true;
                break; // the next one must not overtake it
            }
        }
        self.watch_room(waiting);
    }

    /// Whether a message that was parked before this one may go to one of those for whom this is.
    fn is_behind(&self, sequence: u64) -> bool {
        let link = self.endpoint.link();
        let entries = &link.parked.entries;
        let Some(message) = entries.get(&sequence) else {
            return false;
        };
        let ParkState::Routable { last } = message.state else {
            return false;
        };
        let mut earlier = entries
            .range(..sequence)
            .filter(|(_, it)| it.waits())
            .peekable();
        if earlier.peek().is_none() {
            return false;
        }
        let mut routing = self.endpoint.routing();
        let left = routing.refresh();
        let route = routing.route_until(&message.selector, last);
        let is_behind = earlier.any(|(_, it)| routing.means(&it.selector.label_op, &route));
        drop(routing);
        drop(link);
        self.endpoint.part_from(left);
        is_behind
    }

    /// Sends a message that was to be parked; `false`: a receiver has no room yet.
    fn send_one(&mut self, sequence: u64) -> bool {
        let mut link = self.endpoint.link();
        let Some(message) = link.parked.entries.get_mut(&sequence) else {
            return true;
        };
        let ParkState::Routable { last } = message.state else {
            return true;
        };
        let selector = message.selector.clone();
        let mut sending = message.sending.take();
        let objects = std::mem::take(&mut message.objects);
        let (body, number_at) = (message.body.clone(), message.sequence_at);
        let mut flights = std::mem::take(&mut message.flights);
        let request = message.request;
        let overdue = message.deadline.saturating_add(OVERDUE_NS) <= boot_time_ns();
        drop(link);

        let sending_now = sending.get_or_insert_with(|| {
            let mut routing = self.endpoint.routing();
            let left = routing.refresh();
            let route = routing.route_until(&selector, last);
            drop(routing);
            self.endpoint.part_from(left);
            let start = |peer| {
                let mut progress = Progress::of_parked(body.clone(), number_at);
                progress.flights = std::mem::take(&mut flights);
                (peer, progress)
            };
            route.into_iter().map(start).collect::<Vec<_>>()
        });
        let outbound = Outbound::of_parked(&objects, number_at.is_some());
        let mut delivered = false;
        sending_now.retain_mut(|(peer, progress)| {
            // Before it can reply, or be gone.
            if let Some(number) = request {
                self.endpoint.inbox.asked(number, Some(peer.id));
            }
            match self.endpoint.attempt(peer, &outbound, progress) {
                // It has nothing in it that is lent.
                Attempt::Full | Attempt::Copy => return true,
                Attempt::Sent => delivered = true,
                Attempt::Gone => {
                    if let Some(number) = request {
                        self.endpoint.inbox.asked(number, None);
                    }
                    self.endpoint.lose(peer);
                }
                Attempt::Failed(error) => {
                    tracing::warn!(%error, "a message that was to be parked cannot be sent");
                    self.endpoint.parked_request_failed(request, error.into());
                    delivered = true;
                }
            }
            false
        });
        let waiting = !sending_now.is_empty();
        let is_late =
            !waiting && !delivered && !self.endpoint.routing().route(&selector).is_empty();
        let mut link = self.endpoint.link();
        if waiting {
            if let Some(message) = link.parked.entries.get_mut(&sequence) {
                message.objects = objects;
                message.sending = sending;
            }
            return false;
        }
        tracing::debug!(
            sequence,
            delivered,
            is_late,
            "a message that was to be parked is sent"
        );
        if delivered {
            self.endpoint.settle_parked(&mut link, sequence, None);
        } else if is_late || overdue {
            // Whoever matched has gone, and who matches now may have later messages: it is lost with
            // who it was for.
            drop(link);
            self.endpoint
                .parked_request_failed(request, NoReply::PeerGone);
            link = self.endpoint.link();
            self.endpoint.settle_parked(&mut link, sequence, None);
        } else {
            // Whoever matched has gone: park it again.
            if let Some(message) = link.parked.entries.get_mut(&sequence) {
                message.objects = objects;
                message.flights = std::mem::take(&mut flights);
            }
            self.endpoint
                .settle_parked(&mut link, sequence, Some(ParkState::Asked));
            // Not at once: the controller may not have heard yet.
            self.later
                .get_or_insert((Instant::now() + LACK_TIME, Later::ParkAgain));
        }
        drop(link);
        flights.into_iter().for_each(Flight::recall);
        self.endpoint.room.announce();
        true
    }

    fn watch_room(&mut self, wanted: bool) {
        if wanted == self.room_watched {
            return;
        }
        let doorbell = self.endpoint.room.doorbell().as_fd();
        let changed = match wanted {
            true => self
                .poller
                .add(doorbell, token::ROOM, Interest::ReadableEdge),
            false => self.poller.remove(doorbell),
        };
        if changed.is_ok() {
            self.room_watched = wanted;
        }
    }
}

impl Endpoint {
    /// Asks a new controller to keep what its predecessor kept or was asked to keep.
    pub(crate) fn park_again(&self, link: &mut Link) {
        let Link { parked, pipe, .. } = link;
        let Some(pipe) = pipe.as_mut() else { return };
        for (&sequence, message) in &parked.entries {
            if message.state != ParkState::Asked {
                continue;
            }
            let sent = match message.request(sequence, true) {
                Ok((request, objects)) => {
                    matches!(pipe.send(&request.encode(), objects), Ok(Flushed::All))
                }
                Err(error) => {
                    tracing::warn!(%error, "a message cannot be parked again yet");
                    true
                }
            };
            tracing::debug!(sequence, sent, "a message is parked again");
            if !sent {
                self.wake();
            }
        }
    }

    /// The controller that kept our messages is gone.
    pub(crate) fn unconfirm_parked(&self, link: &mut Link) {
        let held = (link.parked).which(|message| message.state == ParkState::Held);
        for sequence in held {
            self.settle_parked(link, sequence, Some(ParkState::Asked));
        }
    }
}

//! The way to one receiver: its doorbell, its inbox, the channel and the lanes.

use super::{
    flow::Flow,
    lanes::{Cargo, Lanes, NoLane, largest_lane, most_lanes},
    lending::Lending,
};
use crate::{
    MessageBox, Quota, ReceiverUsage, SendError, Sink,
    bytes::{RAW, TAIL_LEN},
    endpoint::AtOnce,
    loan::{Collector, Loans, Pool},
    memory::Shared,
    region::{Block, Flight},
};
use ipmb_core::{
    CORRELATED_HEADER_LEN, Correlation, DeclaredTypes, LaneMessage, LoanRef, MessageHeader,
    Overflow, ReceiveLimits, RegionId, TypeId,
};
use ipmb_lane::{Grant, MOST_LOANS, Producer, ReadySet, Waker};
use ipmb_sys::{Channel, Doorbell};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Weak},
};

/// What reaches a receiver, as it came with the introduction.
pub(crate) struct Reach {
    pub(crate) channel: Arc<Channel>,
    pub(crate) doorbell: Doorbell,
    pub(crate) waker: Waker<Shared>,
    pub(crate) ready: ReadySet<Shared>,
}

/// An open way to a receiver.
pub(crate) struct Line {
    pub(super) reach: Reach,
    pub(super) limits: ReceiveLimits,
    pub(super) lanes: Lanes,
    pub(super) flow: Flow,
    /// Our number at the receiver, the same for all lanes. A lane that is new to it has none yet.
    pub(super) slot: Option<u32>,
    /// The sleep for which we have rung already.
    pub(super) rung: u64,
    /// The receiver has its end of the channel, so that objects will not be lost.
    pub(super) confirmed: bool,
    /// Somebody is in the middle of a message that takes several steps.
    pub(super) busy: bool,
    /// Somebody else waits for that.
    pub(super) contended: bool,
    pub(super) attachments: u64,
    pub(super) known: HashMap<RegionId, Weak<Block>>,
    /// What the receiver knows, or will when it has read that far.
    types: DeclaredTypes,
    pub(super) lending: Lending,
    /// What the last message took, as a guess for the next one.
    pub(super) guess: usize,
}

/// What stands around the data of a [`BytesMessage`](crate::BytesMessage), at most.
const ENVELOPE_LEN: usize = CORRELATED_HEADER_LEN + TAIL_LEN;

/// What came of an attempt to send.
pub(crate) enum Attempt {
    Sent,
    /// Wait for room, then try again.
    Full,
    /// Nothing can be lent to the receiver: copy all.
    Copy,
    /// The receiver receives no more.
    Gone,
    Failed(SendError),
}

impl Line {
    pub(crate) fn new(reach: Reach, limits: ReceiveLimits, confirmed: bool) -> Self {
        Self {
            reach,
            limits,
            lanes: Lanes::default(),
            flow: Flow::default(),
            slot: None,
            rung: 0,
            confirmed,
            busy: false,
            contended: false,
            attachments: 0,
            known: HashMap::new(),
            types: DeclaredTypes::default(),
            lending: Lending::default(),
            guess: 0,
        }
    }

    pub(crate) fn channel(&self) -> &Arc<Channel> {
        &self.reach.channel
    }

    /// Whether the receiver has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.lanes.last().is_some_and(Producer::is_closed)
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether there may be messages in it.
    pub(crate) fn has_been_used(&self) -> bool {
        self.lanes.last().is_some()
    }

    /// The receiver has its end. Returns whether somebody may be waiting for that.
    pub(crate) fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Goes on over a new channel, with what is in the lanes.
    pub(crate) fn reconnect(&mut self, reach: Reach, room: &Doorbell) -> bool {
        self.reach = reach;
        self.slot = None;
        self.rung = 0;
        let offered = self.lanes.offer_again(&self.reach.channel, room).is_ok();
        self.ring_if_asleep();
        offered
    }

    /// The receiver is gone: takes back what it never read.
    pub(crate) fn recall(&mut self) {
        let lending = &self.lending;
        self.lanes.recall(|cargo| match cargo {
            // It may only be thought to be gone, and read on.
            Cargo::Region(flight) => Flight::give_up(flight),
            loan => take_back(lending, loan),
        });
        self.lending.close();
    }

    /// Sends a message without attachments in one step, if there is room for it: the payload is
    /// encoded straight into the lane.
    #[inline]
    pub(crate) fn send_direct<T: MessageBox>(
        &mut self,
        payload: &T,
        correlation: Option<Correlation>,
        limit: u64,
        pool: Option<&Arc<Pool>>,
        room: &Doorbell,
    ) -> AtOnce {
        if self.busy {
            return AtOnce::Not;
        }
        if self.lanes.untidy() {
            self.tidy();
        }
        let (guess, limit) = (self.guess, self.limits.message.min(limit));
        if self.lanes.last().is_none() && self.open(room).is_err() {
            return AtOnce::Not;
        }
        let (type_id, guess) = match payload.as_bytes_message() {
            Some(message) if message.exceeds(limit) => return AtOnce::Not,
            Some(message) => (RAW, message.data.len() + ENVELOPE_LEN),
            None => (payload.uuid(), guess),
        };
        let may_lend = pool.is_some() && self.may_lend();
        let tag = match correlation {
            None => self.tag(type_id),
            Some(_) => LaneMessage::TAG,
        };
        let Some(lane) = self.lanes.last_mut() else {
            return AtOnce::Not;
        };
        if self.flow.is_due(lane.rounds().0) {
            self.flow.look(lane.rounds(), lane.capacity());
            if self.flow.swells {
                return AtOnce::Not;
            }
        }
        // What takes several frames is encoded before it is cut.
        if lane.is_closed() || guess > lane.max_frame() {
            return AtOnce::Not;
        }
        let Ok(mut grant) = lane.reserve_from(guess) else {
            return if self.is_worth_waiting() {
                AtOnce::Full
            } else {
                AtOnce::Not
            };
        };
        let header = match correlation {
            _ if tag != LaneMessage::TAG => Ok(()),
            None => grant.write(&MessageHeader::encode_fixed(type_id)),
            Some(it) => grant.write(&MessageHeader::encode_correlated(type_id, it)),
        };
        if header.is_err() {
            return AtOnce::Not;
        }
        let start = grant.written();
        if let Some(message) = payload.as_bytes_message() {
            let data = grant.write(&message.data);
            if data.and_then(|()| grant.write(&message.tail())).is_err() {
                return AtOnce::Not;
            }
        } else {
            let Some((encoded, loans)) = encode(payload, grant, pool) else {
                return AtOnce::Not;
            };
            grant = encoded;
            if let Some(pool) = pool.filter(|_| !loans.is_empty()) {
                if (grant.written() - start) as u64 > limit {
                    return AtOnce::Not;
                }
                if !may_lend {
                    return self.when_may_lend();
                }
                let write = |bytes: &[u8]| grant.write(bytes);
                let written = LoanRef::write_all(&loans, write).is_ok();
                let channel = &self.reach.channel;
                if !written || self.lending.lend(pool, channel, &loans).is_err() {
                    return AtOnce::Not;
                }
                grant.commit(tag | LoanRef::TAG_BIT);
                for loan in &loans {
                    self.lanes.note(loan.len, Cargo::Loan(loan.loan));
                }
                self.published();
                return AtOnce::Sent;
            }
        }
        if (grant.written() - start) as u64 > limit {
            return AtOnce::Not;
        }
        let guess = grant.written();
        grant.commit(tag);
        self.guess = guess;
        self.published();
        AtOnce::Sent
    }

    /// The tag of plain messages of a type; that of envelopes if it has none.
    #[inline]
    pub(super) fn tag(&mut self, type_id: TypeId) -> u16 {
        match self.types.tag(type_id) {
            Some(tag) => tag,
            None => self.declare(type_id).unwrap_or(LaneMessage::TAG),
        }
    }

    /// Tells the receiver of a type, if there is room for that now.
    #[cold]
    fn declare(&mut self, type_id: TypeId) -> Option<u16> {
        // What may be dropped must not be needed later.
        if self.drops_oldest() || self.types.is_full() {
            return None;
        }
        let declaration = LaneMessage::encode_declare(type_id);
        let mut grant = self.lanes.last_mut()?.reserve(declaration.len()).ok()?;
        grant.write(&declaration).ok()?;
        let tag = self.types.declare(type_id).ok()?;
        grant.commit(LaneMessage::TAG);
        Some(tag)
    }

    /// Whether there is not too much shared memory in messages that are not read yet.
    pub(super) fn may_float(&self) -> bool {
        self.lanes.may_float(self.budget() as u64)
    }

    /// Forgets what the receiver has taken over.
    pub(super) fn tidy(&mut self) {
        let drops_oldest = self.drops_oldest();
        let known = &mut self.known;
        self.lanes.tidy(|block| {
            if drops_oldest {
                known.insert(block.id(), Arc::downgrade(block));
            }
        });
    }

    /// What the receiver has of us, and how much it may; where it lives, somebody else knows.
    pub(crate) fn usage(&self) -> ReceiverUsage {
        let (unread, capacity) = self.lanes.usage();
        ReceiverUsage {
            pid: 0,
            unread,
            lanes: Quota::new(capacity, most_lanes(self.limits.budget)),
            loans: Quota::new(self.lending.given() as u64, MOST_LOANS as u64),
        }
    }

    pub(super) fn budget(&self) -> usize {
        largest_lane(self.limits.budget)
    }

    pub(super) fn drops_oldest(&self) -> bool {
        self.limits.overflow == Overflow::DropOldest
    }

    /// Makes the first lane.
    pub(crate) fn open(&mut self, room: &Doorbell) -> io::Result<()> {
        match self.current_lane(room) {
            Ok(_) => Ok(()),
            Err(NoLane::Resources(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(super) fn current_lane(
        &mut self,
        room: &Doorbell,
    ) -> Result<&mut Producer<Shared>, NoLane> {
        let drops_oldest = self.drops_oldest();
        let first = if drops_oldest {
            self.budget()
        } else {
            super::lanes::FIRST_CAPACITY
        };
        self.lanes
            .current(first, drops_oldest, &self.reach.channel, room)
    }

    /// Tells the receiver that there is news in the lane.
    #[inline]
    pub(super) fn published(&mut self) {
        self.reach.waker.fence();
        if self.slot.is_none() {
            self.slot = self.lanes.last().and_then(Producer::slot);
        }
        if let Some(slot) = self.slot {
            self.reach.ready.set(slot);
        }
        self.ring_if_asleep();
    }

    #[inline]
    pub(super) fn ring_if_asleep(&mut self) {
        if self.reach.waker.should_ring(&mut self.rung) {
            self.reach.doorbell.ring();
        }
    }
}

/// Encodes a payload into a lane, if there is room for it and it can be encoded. What of it was lent
/// is not in it, but collected.
#[inline]
pub(super) fn encode<'a, T: MessageBox>(
    payload: &T,
    grant: Grant<'a, Shared>,
    pool: Option<&Arc<Pool>>,
) -> Option<(Grant<'a, Shared>, Loans)> {
    let mut sink = Sink::lane(grant, Collector::new(pool));
    payload.encode_into(&mut sink).ok()?;
    sink.into_lane()
}

/// The receiver will never have what was in a message.
pub(super) fn take_back(lending: &Lending, cargo: Cargo) {
    match cargo {
        Cargo::Region(flight) => Flight::recall(flight),
        Cargo::Loan(loan) => lending.recall(loan),
    }
}

impl From<NoLane> for Attempt {
    fn from(no_lane: NoLane) -> Self {
        match no_lane {
            NoLane::Full => Self::Full,
            NoLane::Disconnected => Self::Gone,
            NoLane::Resources(error) => Self::Failed(SendError::Resources(error)),
        }
    }
}

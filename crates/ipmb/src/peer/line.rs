//! The way to one receiver: its doorbell, its inbox, the channel and the lanes.

use super::{
    lanes::{Lanes, NoLane},
    outbound::{ENVELOPE, Outbound, Progress, is_sink_full},
    pair::PairPacket,
};
use crate::{MessageBox, SendError, Sink, memory::Shared, region::Block};
use ipmb_core::{MessageHeader, Overflow, PLAIN_HEADER_LEN, ReceiveLimits, RegionId};
use ipmb_lane::{Producer, ReadySet, Waker, publish_fence};
use ipmb_sys::{BorrowedObject, Channel, ChannelSendError, Doorbell, MAX_OBJECTS};
use std::{
    collections::HashMap,
    io,
    os::fd::AsFd,
    sync::{Arc, Weak},
};

/// How many regions a receiver is expected to remember.
const KNOWN_REGIONS: usize = 256;

/// What reaches a receiver, as it came with the introduction.
pub(crate) struct Reach {
    pub(crate) channel: Arc<Channel>,
    pub(crate) doorbell: Doorbell,
    pub(crate) waker: Waker<Shared>,
    pub(crate) ready: ReadySet<Shared>,
}

/// An open way to a receiver.
pub(crate) struct Line {
    reach: Reach,
    limits: ReceiveLimits,
    lanes: Lanes,
    /// Our number at the receiver, the same for all lanes. A lane that is new to it has none yet.
    slot: Option<u32>,
    /// The sleep for which we have rung already.
    rung: u64,
    /// The receiver has its end of the channel, so that objects will not be lost.
    confirmed: bool,
    /// Somebody is in the middle of a message that takes several steps.
    busy: bool,
    /// Somebody else waits for that.
    contended: bool,
    attachments: u64,
    known: HashMap<RegionId, Weak<Block>>,
    /// What the last message took, as a guess for the next one.
    guess: usize,
}

/// What came of an attempt to send.
pub(crate) enum Attempt {
    Sent,
    /// Wait for room, then try again.
    Full,
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
            slot: None,
            rung: 0,
            confirmed,
            busy: false,
            contended: false,
            attachments: 0,
            known: HashMap::new(),
            guess: 0,
        }
    }

    pub(crate) fn channel(&self) -> &Arc<Channel> {
        &self.reach.channel
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
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
        self.lanes.recall();
    }

    /// Sends a message without attachments in one step, if there is room for it: the payload is
    /// encoded straight into the lane. `None`: take the long way.
    pub(crate) fn send_direct<T: MessageBox>(
        &mut self,
        payload: &T,
        limit: u64,
        room: &Doorbell,
    ) -> Option<Result<(), SendError>> {
        if self.busy {
            return None;
        }
        if self.lanes.untidy() {
            self.tidy();
        }
        let (guess, limit) = (self.guess, self.limits.message.min(limit));
        if self.lanes.last().is_none() {
            self.open(room).ok()?;
        }
        let lane = self.lanes.last_mut()?;
        // What takes several frames is encoded before it is cut.
        if lane.is_closed() || guess > lane.max_frame() {
            return None;
        }
        let mut grant = lane.reserve_from(guess).ok()?;
        grant
            .write(&MessageHeader::encode_fixed(payload.uuid()))
            .ok()?;
        let mut sink = Sink::lane(grant);
        if let Err(error) = payload.encode_into(&mut sink) {
            if is_sink_full(&error) {
                return None;
            }
            return Some(Err(SendError::Encode(error)));
        }
        let grant = sink.into_lane()?;
        if (grant.written() - PLAIN_HEADER_LEN) as u64 > limit {
            return None;
        }
        let guess = grant.written();
        grant.commit();
        self.guess = guess;
        self.published();
        Some(Ok(()))
    }

    /// Sends as much of a message as can be sent now.
    pub(crate) fn attempt(
        &mut self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
        room: &Doorbell,
    ) -> Attempt {
        if self.busy && !progress.owns_line {
            self.contended = true;
            return Attempt::Full;
        }
        if outbound.has_attachments() && !self.confirmed {
            return Attempt::Full;
        }
        // The short way may have been too short for it; it fits the next one like it.
        self.guess = progress.body(outbound).len();
        self.tidy();
        let result = self.advance(outbound, progress, room);
        match result {
            Attempt::Full => {
                if let Some(lane) = self.lanes.last() {
                    lane.want_room(
                        (progress.body(outbound).len() - progress.bytes_sent as usize)
                            .min(lane.max_frame()),
                    );
                }
                // Room that was made before we said that we want it rang no bell.
                let again = self.advance(outbound, progress, room);
                let under_way = progress.objects_sent > 0 || progress.bytes_sent > 0;
                if matches!(again, Attempt::Full) && under_way {
                    self.busy = true;
                    progress.owns_line = true;
                }
                again
            }
            result => result,
        }
    }

    /// Ends a message that took several steps, whether it is out or given up.
    /// Returns whether somebody waits for that.
    pub(crate) fn finish(&mut self, progress: &mut Progress) -> bool {
        if let Some(lane) = self.lanes.last() {
            lane.cancel_want_room();
        }
        // What still has its flights was not sent: the receiver will not see its regions.
        for &region in &progress.region_objects {
            if let Some(flight) = progress.flights.get(region) {
                self.known.remove(&flight.block().id());
            }
        }
        if !std::mem::take(&mut progress.owns_line) {
            return false;
        }
        let half_way = progress.bytes_sent > 0 && !progress.sent;
        if half_way && let Some(lane) = self.lanes.last_mut() {
            lane.abandon();
        }
        self.busy = false;
        std::mem::take(&mut self.contended)
    }

    fn advance(
        &mut self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
        room: &Doorbell,
    ) -> Attempt {
        if self.lanes.last().is_some_and(Producer::is_closed) {
            return Attempt::Gone;
        }
        if let Err(no_lane) = self.current_lane(room) {
            return no_lane.into();
        }
        if !progress.numbered
            && let Err(error) = self.prepare(outbound, progress)
        {
            return Attempt::Failed(error);
        }
        if progress.objects_sent == 0 && progress.bytes_sent == 0 {
            match self.make_room(progress.body(outbound).len(), room) {
                Ok(true) => {}
                Ok(false) => return Attempt::Sent, // dropped, and counted
                Err(attempt) => return attempt,
            }
        }
        match self.send_objects(outbound, progress) {
            Attempt::Sent => {}
            // What has been sent of them is thrown away with the objects of the next message. To
            // drop older messages would not help: their objects stay in the channel.
            Attempt::Full if self.limits.overflow != Overflow::Block => {
                if let Some(lane) = self.lanes.last_mut() {
                    lane.count_dropped();
                }
                return Attempt::Sent;
            }
            other => return other,
        }
        match self.send_bytes(outbound, progress, room) {
            Attempt::Sent => {}
            other => return other,
        }
        self.lanes
            .note_flights(std::mem::take(&mut progress.flights));
        Attempt::Sent
    }

    /// Forgets what the receiver has taken over.
    fn tidy(&mut self) {
        let drops_oldest = self.drops_oldest();
        let known = &mut self.known;
        self.lanes.tidy(|block| {
            if drops_oldest {
                known.insert(block.id(), Arc::downgrade(block));
            }
        });
    }

    fn prepare(
        &mut self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
    ) -> Result<(), SendError> {
        let sequence = self.attachments;
        if outbound.has_attachments() {
            self.attachments += 1;
        }
        progress.numbered = true;
        if progress.renumber(sequence) {
            // A larger one would get us cut off.
            let (size, limit) = (progress.body(outbound).len() as u64, self.limits.message);
            return match size > limit.saturating_add(ENVELOPE as u64) {
                true => Err(SendError::TooLarge { size, limit }),
                false => Ok(()),
            };
        }
        let known = &self.known;
        progress
            .prepare(outbound, sequence, |block| {
                known
                    .get(&block.id())
                    .is_some_and(|weak| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(block)))
            })
            .map_err(SendError::Attachment)?;
        let size = outbound.payload().len() as u64;
        if size > self.limits.message {
            return Err(SendError::TooLarge {
                size,
                limit: self.limits.message,
            });
        }
        Ok(())
    }

    fn send_objects(&mut self, outbound: &Outbound<'_>, progress: &mut Progress) -> Attempt {
        let total = outbound.objects.len() + progress.region_objects.len();
        let packet = PairPacket::Objects {
            sequence: progress.sequence,
        }
        .encode();
        while progress.objects_sent < total {
            let end = total.min(progress.objects_sent + MAX_OBJECTS);
            let batch: Vec<BorrowedObject<'_>> = (progress.objects_sent..end)
                .map(|index| match outbound.objects.get(index) {
                    Some(object) => object.as_fd(),
                    None => {
                        let region = progress.region_objects[index - outbound.objects.len()];
                        progress.flights[region].block().object().as_fd()
                    }
                })
                .collect();
            match self.reach.channel.try_send(&packet, &batch) {
                Ok(()) => progress.objects_sent = end,
                Err(ChannelSendError::Full | ChannelSendError::TooManyInFlight) => {
                    return Attempt::Full;
                }
                Err(ChannelSendError::Disconnected) => return Attempt::Gone,
                Err(ChannelSendError::Io(error)) => {
                    return Attempt::Failed(SendError::Attachment(error));
                }
                Err(other) => {
                    return Attempt::Failed(SendError::Attachment(io::Error::other(other)));
                }
            }
        }
        // The first message with a region may yet be dropped: see `tidy`.
        if !self.drops_oldest() {
            for &region in &progress.region_objects {
                let block = progress.flights[region].block();
                self.known.insert(block.id(), Arc::downgrade(block));
            }
        }
        if self.known.len() > KNOWN_REGIONS {
            self.known.retain(|_, block| block.strong_count() > 0);
        }
        Attempt::Sent
    }

    fn send_bytes(
        &mut self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
        room: &Doorbell,
    ) -> Attempt {
        loop {
            let sent = match self.current_lane(room) {
                Ok(lane) => write_some(lane, outbound, progress),
                Err(no_lane) => return no_lane.into(),
            };
            let Some(done) = sent else {
                return Attempt::Full;
            };
            self.published();
            if done {
                return Attempt::Sent;
            }
        }
    }

    /// Sees to it that a message can be begun. `Ok(false)`: the receiver's policy is to drop it.
    fn make_room(&mut self, len: usize, room: &Doorbell) -> Result<bool, Attempt> {
        let (overflow, budget) = (self.limits.overflow, self.budget());
        loop {
            let lane = self.current_lane(room)?;
            let (max_frame, capacity) = (lane.max_frame(), lane.capacity());
            // Nobody is to wait in the middle of a message whose receiver wants nobody to wait.
            let has_room = match overflow {
                Overflow::Block => lane.room_for(len),
                _ => lane.room_for_all(len),
            };
            if has_room && (len <= max_frame || capacity >= budget) {
                return Ok(true);
            }
            if capacity < budget && overflow != Overflow::DropOldest {
                let wanted = len.saturating_mul(2).max(capacity * 4);
                let capacity = wanted
                    .checked_next_power_of_two()
                    .unwrap_or(budget)
                    .min(budget);
                match self.lanes.add(capacity, false, &self.reach.channel, room) {
                    Ok(()) => continue,
                    Err(NoLane::Full) if overflow != Overflow::Block => {}
                    Err(no_lane) => return Err(no_lane.into()),
                }
            }
            let lane = self.current_lane(room)?;
            match overflow {
                Overflow::Block => return Err(Attempt::Full),
                Overflow::DropNewest => {
                    lane.count_dropped();
                    return Ok(false);
                }
                Overflow::DropOldest => match lane.drop_oldest() {
                    Some(end) => self.lanes.recall_dropped(end),
                    None => return Err(Attempt::Full),
                },
            }
        }
    }

    fn budget(&self) -> usize {
        let budget = usize::try_from(self.limits.budget).unwrap_or(usize::MAX / 4);
        budget.clamp(64 << 10, 1 << 40).next_power_of_two()
    }

    fn drops_oldest(&self) -> bool {
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

    fn current_lane(&mut self, room: &Doorbell) -> Result<&mut Producer<Shared>, NoLane> {
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
    fn published(&mut self) {
        publish_fence();
        if self.slot.is_none() {
            self.slot = self.lanes.last().and_then(Producer::slot);
        }
        if let Some(slot) = self.slot {
            self.reach.ready.set(slot);
        }
        self.ring_if_asleep();
    }

    fn ring_if_asleep(&mut self) {
        if self.reach.waker.should_ring(&mut self.rung) {
            self.reach.doorbell.ring();
        }
    }
}

/// Writes the message, or the next fragment of it. `None`: no room. `Some(true)`: all is written.
fn write_some(
    lane: &mut Producer<Shared>,
    outbound: &Outbound<'_>,
    progress: &mut Progress,
) -> Option<bool> {
    let body = progress.body(outbound);
    let len = body.len() as u64;
    if body.len() <= lane.max_frame() && progress.bytes_sent == 0 {
        let mut grant = lane.reserve(body.len()).ok()?;
        grant.write(body).ok()?;
        grant.commit();
        return Some(true);
    }
    let rest = &body[progress.bytes_sent as usize..];
    let sent = lane.push_fragment(len, progress.bytes_sent, rest).ok()?;
    progress.bytes_sent += sent as u64;
    progress.sent = progress.bytes_sent == len;
    Some(progress.sent)
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

//! The long way of a message to one receiver: attachments, fragments, a lane that is full.

use super::{
    MOST_OBJECTS,
    flow::LARGE,
    lanes::{Cargo, NoLane},
    lending::NotLent,
    line::{Attempt, Line, take_back},
    outbound::{ENVELOPE, Outbound, Progress},
    pair::PairPacket,
};
use crate::{SendError, memory::Shared};
use ipmb_core::{LoanRef, Overflow};
use ipmb_lane::Producer;
use ipmb_sys::{BorrowedObject, ChannelSendError, Doorbell, MAX_OBJECTS};
use std::{io, sync::Arc};

/// How many regions a receiver is expected to remember.
const KNOWN_REGIONS: usize = 256;

impl Line {
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
        if (outbound.has_attachments() || outbound.is_lent()) && !self.confirmed {
            return Attempt::Full;
        }
        // The short way may have been too short for it; it fits the next one like it.
        self.guess = progress.body(outbound).len();
        self.tidy();
        let result = self.advance(outbound, progress, room);
        match result {
            Attempt::Full => {
                let left = progress.body(outbound).len() - progress.bytes_sent as usize;
                self.want_room(left, outbound.shares());
                progress.wanted = true;
                // Room that was made before we said that we want it rang no bell.
                self.tidy();
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
    /// Returns whether somebody may wait for that.
    pub(crate) fn finish(&mut self, progress: &mut Progress) -> bool {
        // What others want is cancelled with it: they have to say so again.
        let wanted = std::mem::take(&mut progress.wanted);
        if wanted && let Some(lane) = self.lanes.last() {
            lane.cancel_want_room();
        }
        // What still has its flights was not sent: the receiver will not see its regions.
        for block in progress.shown() {
            self.known.remove(&block.id());
        }
        let half_way = progress.bytes_sent > 0 && !progress.sent;
        if half_way && let Some(lane) = self.lanes.last_mut() {
            lane.abandon();
        }
        if !std::mem::take(&mut progress.owns_line) {
            return wanted;
        }
        self.busy = false;
        std::mem::take(&mut self.contended) || wanted
    }

    fn advance(
        &mut self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
        room: &Doorbell,
    ) -> Attempt {
        if self.is_closed() {
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
            let len = progress.body(outbound).len();
            match self.make_room(len, outbound.shares(), room) {
                Ok(true) => {}
                Ok(false) => return Attempt::Sent, // dropped, and counted
                Err(attempt) => return attempt,
            }
            self.keep_numbers_rising(outbound, progress);
        }
        match self.send_beside(outbound, progress) {
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
        self.lanes.note_flights(&mut progress.flights);
        if let Some(given) = progress.given.take() {
            for loan in given.sent() {
                self.lanes.note(loan.len, Cargo::Loan(loan.loan));
            }
        }
        Attempt::Sent
    }

    /// Has the receiver wake us when there is room, and shared memory enough read.
    fn want_room(&mut self, len: usize, shares: bool) {
        let until = match shares && !self.may_float() {
            true => self.lanes.half_way(),
            false => None,
        };
        if let Some(lane) = self.lanes.last() {
            match until {
                Some(position) => lane.want_consumed(position),
                None => lane.want_room(len),
            }
        }
    }

    /// Sends what does not go through the lane: loans, then objects, unless they go with the last fragment.
    fn send_beside(&mut self, outbound: &Outbound<'_>, progress: &mut Progress) -> Attempt {
        if let Some(lent) = &outbound.lent
            && progress.given.is_none()
        {
            let channel = &self.reach.channel;
            match self.lending.give(lent.pool, channel, &lent.loans) {
                Ok(given) => progress.given = Some(given),
                Err(NotLent::Full) => return Attempt::Full,
                Err(NotLent::Gone) => return Attempt::Gone,
                Err(NotLent::Copy) => return Attempt::Copy,
            }
        }
        match self.keeps_objects_back(outbound, progress) {
            true => Attempt::Sent,
            false => self.send_objects(outbound, progress),
        }
    }

    /// The objects of a message that takes several steps go when the last one can be taken: if it is given up before,
    /// nothing is left of them with the receiver. (Where nobody is to wait, it is not begun before all can be sent.)
    fn keeps_objects_back(&self, outbound: &Outbound<'_>, progress: &Progress) -> bool {
        let len = progress.body(outbound).len();
        let in_fragments = (self.lanes.last()).is_some_and(|lane| len > lane.max_frame());
        let objects = outbound.objects.len() + progress.region_objects.len();
        progress.objects_sent < objects
            && self.limits.overflow == Overflow::Block
            && (in_fragments || progress.bytes_sent > 0)
    }

    fn prepare(
        &mut self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
    ) -> Result<(), SendError> {
        progress.numbered = true;
        if progress.renumber(self.attachments) {
            if outbound.has_attachments() {
                self.attachments += 1;
            }
            // A larger one would get us cut off.
            let (size, limit) = (progress.body(outbound).len() as u64, self.limits.message);
            return match size > limit.saturating_add(ENVELOPE as u64) {
                true => Err(SendError::TooLarge { size, limit }),
                false => Ok(()),
            };
        }
        self.number(outbound, progress)
            .map_err(SendError::Attachment)?;
        let count = outbound.objects.len() + progress.region_objects.len();
        if count > MOST_OBJECTS {
            let limit = MOST_OBJECTS;
            return Err(SendError::TooManyObjects { count, limit });
        }
        if outbound.has_attachments() {
            self.attachments += 1;
        }
        if outbound.is_plain() {
            progress.tag = self.tag(outbound.type_id);
        }
        if outbound.is_lent() {
            progress.tag |= LoanRef::TAG_BIT;
        }
        let size = outbound.size as u64;
        if size > self.limits.message {
            return Err(SendError::TooLarge {
                size,
                limit: self.limits.message,
            });
        }
        Ok(())
    }

    /// While a message waited, others got higher numbers, and may have been given up with their objects sent. The
    /// receiver would look for its objects in front of those.
    fn keep_numbers_rising(&mut self, outbound: &Outbound<'_>, progress: &mut Progress) {
        if outbound.has_attachments() && progress.sequence + 1 < self.attachments {
            progress.renumber(self.attachments);
            self.attachments += 1;
        }
    }

    fn send_objects(&mut self, outbound: &Outbound<'_>, progress: &mut Progress) -> Attempt {
        let total = outbound.objects.len() + progress.region_objects.len();
        let packet = PairPacket::Objects {
            sequence: progress.sequence,
        }
        .encode();
        while progress.objects_sent < total {
            let end = total.min(progress.objects_sent + MAX_OBJECTS);
            let batch: Vec<BorrowedObject<'_>> = progress
                .beside(outbound)
                .skip(progress.objects_sent)
                .take(MAX_OBJECTS)
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
        self.note_shown(progress);
        Attempt::Sent
    }

    /// The receiver knows the regions whose objects are on their way to it.
    pub(super) fn note_shown(&mut self, progress: &Progress) {
        // The first message with a region may yet be dropped: see `tidy`.
        if !self.drops_oldest() {
            for block in progress.shown() {
                self.known.insert(block.id(), Arc::downgrade(block));
            }
        }
        if self.known.len() > KNOWN_REGIONS {
            self.known.retain(|_, block| block.strong_count() > 0);
        }
    }

    fn send_bytes(
        &mut self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
        room: &Doorbell,
    ) -> Attempt {
        loop {
            if self.keeps_objects_back(outbound, progress)
                && let Some(lane) = self.lanes.last()
            {
                let left = progress.body(outbound).len() - progress.bytes_sent as usize;
                if left <= lane.max_frame() {
                    if !lane.room_for(left) {
                        return Attempt::Full;
                    }
                    match self.send_objects(outbound, progress) {
                        Attempt::Sent => {}
                        other => return other,
                    }
                }
            }
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

    /// Sees to it that a message can be begun, be it one that shares memory or not. `Ok(false)`: the
    /// receiver's policy is to drop it.
    fn make_room(&mut self, len: usize, shares: bool, room: &Doorbell) -> Result<bool, Attempt> {
        let (overflow, budget) = (self.limits.overflow, self.budget());
        loop {
            if shares && !self.may_float() {
                match self.overflowing(room) {
                    Some(result) => return result,
                    None => continue,
                }
            }
            let lane = self.current_lane(room)?;
            let (max_frame, capacity) = (lane.max_frame(), lane.capacity());
            // Nobody is to wait in the middle of a message whose receiver wants nobody to wait.
            let has_room = match overflow {
                Overflow::Block => lane.room_for(len),
                _ => lane.room_for_all(len),
            };
            if has_room && (len <= max_frame || capacity >= budget) {
                self.swell(capacity, room);
                return Ok(true);
            }
            if capacity < budget && overflow != Overflow::DropOldest {
                let wanted = len.saturating_mul(2).max(capacity * 4);
                let capacity = wanted
                    .checked_next_power_of_two()
                    .unwrap_or(budget)
                    .min(budget);
                match self.lanes.add(capacity, false, &self.reach.channel, room) {
                    Ok(()) => {
                        self.flow.restart();
                        continue;
                    }
                    Err(NoLane::Full) if overflow != Overflow::Block => {}
                    Err(no_lane) => return Err(no_lane.into()),
                }
            }
            if let Some(result) = self.overflowing(room) {
                return result;
            }
        }
    }

    /// Makes a larger lane if one would be better, and it can be had.
    fn swell(&mut self, capacity: usize, room: &Doorbell) {
        if std::mem::take(&mut self.flow.swells) && self.limits.overflow == Overflow::Block {
            let larger = capacity.saturating_mul(16).min(LARGE).min(self.budget());
            if larger <= capacity {
                return; // it has come to its budget
            }
            let added = self.lanes.add(larger, false, &self.reach.channel, room);
            if added.is_ok() {
                self.flow.restart();
            }
        }
    }

    /// What comes of a message for which there is no room, as [`make_room`](Self::make_room) says it.
    /// `None`: there may be room now.
    fn overflowing(&mut self, room: &Doorbell) -> Option<Result<bool, Attempt>> {
        let overflow = self.limits.overflow;
        let lane = match self.current_lane(room) {
            Ok(lane) => lane,
            Err(no_lane) => return Some(Err(no_lane.into())),
        };
        match overflow {
            Overflow::Block => Some(Err(Attempt::Full)),
            Overflow::DropNewest => {
                lane.count_dropped();
                Some(Ok(false))
            }
            Overflow::DropOldest => match lane.drop_oldest() {
                Some(end) => {
                    let lending = &self.lending;
                    self.lanes
                        .recall_dropped(end, |cargo| take_back(lending, cargo));
                    None
                }
                None => Some(Err(Attempt::Full)),
            },
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
    let len = body.len();
    if len <= lane.max_frame() && progress.bytes_sent == 0 {
        let mut grant = lane.reserve(len).ok()?;
        for piece in body.0 {
            grant.write(piece).ok()?;
        }
        grant.commit(progress.tag);
        return Some(true);
    }
    let (offset, rest) = (progress.bytes_sent, body.rest(progress.bytes_sent as usize));
    let sent = lane
        .push_fragment(progress.tag, len as u64, offset, &rest)
        .ok()?;
    progress.bytes_sent += sent as u64;
    progress.sent = progress.bytes_sent == len as u64;
    Some(progress.sent)
}

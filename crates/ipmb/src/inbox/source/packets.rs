//! What comes from a sender beside its lanes: objects, and lanes.

use super::{MOST_PACKETS, Malformed, PullError, Search, Source};
use crate::{
    Quota,
    memory::Shared,
    peer::{MOST_OBJECTS, PairPacket},
};
use ipmb_lane::{Consumer, memory_len};
use ipmb_sys::{
    Access, ChannelRecvError, Doorbell, MAX_OBJECTS, MapError, OwnedObject, SMALL_PACKET,
    SmallPacket, descriptor_limit, is_lack, is_out_of_descriptors, map_memory,
};
use std::{io, os::fd::AsFd};

const SMALLEST_LANE: usize = 4 << 10;
/// So many lanes wait to be read. Each is several times as large as the one before it.
pub(super) const MOST_LANES: usize = 32;

/// So many packets are received at once, at most: together they have no more objects than one message may.
const MOST_AT_ONCE: usize = MOST_OBJECTS / MAX_OBJECTS;

const _: () = assert!(PairPacket::LEN <= SMALL_PACKET);

impl Source {
    /// Reads the channel until something is there, or until what has arrived together is read: then others
    /// have their turn.
    pub(super) fn search(
        &mut self,
        is_there: impl Fn(&mut Self) -> Result<bool, PullError>,
    ) -> Result<Search, PullError> {
        let mut has_looked = false;
        loop {
            if is_there(self)? {
                self.searched = 0;
                return Ok(Search::Found);
            }
            if has_looked && self.packets.is_empty() {
                return Ok(Search::Later);
            }
            has_looked = true;
            if self.searched >= MOST_PACKETS {
                return Err(Malformed::Flood.into());
            }
            if !self.read_channel()? {
                return Ok(Search::Nothing);
            }
        }
    }

    /// Reads the channel until the objects of a message are all there; `None`: not yet.
    pub(super) fn collect(
        &mut self,
        sequence: u64,
        count: u64,
    ) -> Result<Option<Vec<OwnedObject>>, PullError> {
        if count > MOST_OBJECTS as u64 {
            return Err(Malformed::TooManyObjects(count).into());
        }
        match self.search(|source| source.has_objects(sequence, count)) {
            Ok(Search::Found) => Ok(Some(self.take_objects(count))),
            Ok(Search::Later) => Ok(None),
            // A sender hands the objects over before it publishes the message.
            Ok(Search::Nothing) => Err(Malformed::Objects.into()),
            // It may wait until there are some, if it leaves others their share.
            Err(PullError::Resources(error))
                if is_out_of_descriptors(&error) && self.waiting > descriptor_limit() / 2 =>
            {
                Err(Malformed::TooManyObjects(count).into())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether so many objects of a message are there, as far as the channel was read.
    fn has_objects(&mut self, sequence: u64, count: u64) -> Result<bool, PullError> {
        // What belongs to earlier messages belongs to messages that were given up.
        while self.objects.front().is_some_and(|(of, _)| *of < sequence) {
            self.next_objects();
        }
        let packets = self.objects.iter().take_while(|(of, _)| *of == sequence);
        let there: u64 = packets.map(|(_, objects)| objects.len() as u64).sum();
        // Those of a later message come behind all of this one.
        if there < count && self.objects.back().is_some_and(|(of, _)| *of != sequence) {
            return Err(Malformed::Objects.into());
        }
        Ok(there >= count)
    }

    /// The objects of the next message, so many of them.
    fn take_objects(&mut self, count: u64) -> Vec<OwnedObject> {
        let mut all = Vec::new();
        while (all.len() as u64) < count
            && let Some(objects) = self.next_objects()
        {
            match all.is_empty() {
                true => all = objects,
                false => all.extend(objects),
            }
        }
        all.truncate(count as usize);
        all
    }

    fn next_objects(&mut self) -> Option<Vec<OwnedObject>> {
        let (_, objects) = self.objects.pop_front()?;
        self.waiting -= objects.len();
        Some(objects)
    }

    /// Reads one packet; `false` if there is none.
    pub(super) fn read_channel(&mut self) -> Result<bool, PullError> {
        if let Some(objects) = self.unmapped.take() {
            return self.attach_lane(objects).map(|()| true);
        }
        let Some(packet) = self.next_packet()? else {
            return Ok(false);
        };
        self.searched += 1;
        let kind = PairPacket::parse(packet.bytes()).ok_or(Malformed::Packet)?;
        let objects = packet.into_objects();
        match kind {
            PairPacket::Hello => {}
            PairPacket::Objects { .. } if objects.is_empty() => {
                return Err(Malformed::Packet.into());
            }
            PairPacket::Objects { sequence } => {
                self.waiting += objects.len();
                self.objects.push_back((sequence, objects));
                if self.waiting > MOST_OBJECTS + MAX_OBJECTS {
                    return Err(Malformed::TooManyObjects(self.waiting as u64).into());
                }
            }
            PairPacket::Account => {
                let [lease] =
                    <[OwnedObject; 1]>::try_from(objects).map_err(|_| Malformed::Loans)?;
                self.loans.open(lease);
            }
            PairPacket::Segment { slot, epoch } => {
                let [memory] =
                    <[OwnedObject; 1]>::try_from(objects).map_err(|_| Malformed::Loans)?;
                let shown = self.loans.show(slot, epoch, memory);
                shown.map_err(|_| Malformed::Loans)?;
            }
            PairPacket::Lane { number } if number < self.offered => {} // offered again
            PairPacket::Lane { number } if number == self.offered => {
                let objects = <[OwnedObject; 2]>::try_from(objects)
                    .map_err(|_| Malformed::BadLane("its objects are missing".into()))?;
                self.attach_lane(objects)?;
            }
            PairPacket::Lane { .. } => return Err(Malformed::Packet.into()),
        }
        Ok(true)
    }

    /// The next packet, if there is one. Others that have arrived are received with it: twice as
    /// many as came the last time, if there are.
    fn next_packet(&mut self) -> Result<Option<SmallPacket>, PullError> {
        if let Some(packet) = self.packets.pop_front() {
            return Ok(Some(packet));
        }
        let most = (2 * self.arrived.max(1)).min(MOST_AT_ONCE);
        match self.channel.try_recv_small(&mut self.packets, most) {
            Ok(()) => self.arrived = self.packets.len(),
            Err(ChannelRecvError::Empty | ChannelRecvError::Disconnected) => return Ok(None),
            Err(ChannelRecvError::NoDescriptors) => {
                return Err(PullError::Resources(ipmb_sys::out_of_descriptors()));
            }
            Err(ChannelRecvError::Io(error)) => return Err(PullError::Resources(error)),
            Err(_) => return Err(Malformed::Packet.into()),
        }
        if let Some(lane) = self.lanes.front_mut()
            && lane.wants_room()
        {
            self.ring_for_room();
        }
        Ok(self.packets.pop_front())
    }

    fn attach_lane(&mut self, objects: [OwnedObject; 2]) -> Result<(), PullError> {
        let bad = |why: &dyn std::fmt::Display| Malformed::BadLane(why.to_string());
        if self.lanes.len() >= MOST_LANES || self.closed == Some(0) {
            return Err(bad(&"there are too many already").into());
        }
        if self.room.is_none()
            && let Err(error) = Doorbell::examine(objects[1].as_fd())
        {
            return match is_lack(&error) {
                true => self.lack(objects, error),
                false => Err(bad(&error).into()),
            };
        }
        let sizes = memory_len(SMALLEST_LANE)..=memory_len(self.largest_lane);
        let mapping = match map_memory(objects[0].as_fd(), Access::ReadWrite, sizes) {
            Ok(mapping) => mapping,
            Err(MapError::Io(error)) if is_lack(&error) => return self.lack(objects, error),
            Err(error) => return Err(bad(&error).into()),
        };
        let mut lane =
            Consumer::attach(Shared::new(mapping), self.slot).map_err(|error| bad(&error))?;
        if lane.capacity() > self.mapped().left() {
            let Quota { used, limit } = self.mapped();
            let why = format!(
                "it has {} bytes, and {used} of {limit} are mapped",
                lane.capacity()
            );
            return Err(bad(&why).into());
        }
        if let Some(left) = &mut self.closed {
            *left -= 1;
            lane.close();
        }
        let [_, room] = objects;
        self.room.get_or_insert_with(|| Doorbell::from(room));
        self.offered += 1;
        self.lanes.push_back(lane);
        Ok(())
    }

    /// The lane stays where it is, for the next try.
    fn lack(&mut self, objects: [OwnedObject; 2], error: io::Error) -> Result<(), PullError> {
        self.unmapped = Some(objects);
        Err(PullError::Resources(error))
    }
}

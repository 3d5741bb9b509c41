//! The lanes to one receiver: the one in use, and those that are being drained.

use super::pair::PairPacket;
use crate::{
    memory::Shared,
    region::{Block, Flight},
};
use ipmb_lane::{Producer, memory_len};
use ipmb_sys::{Channel, ChannelSendError, Doorbell, OwnedObject, Purpose, create_memory};
use std::{collections::VecDeque, io, os::fd::AsFd, sync::Arc};

/// Small at first: most pairs exchange little.
pub(crate) const FIRST_CAPACITY: usize = 64 << 10;

/// Up to this size the memory of a lane is had at once, not page by page: running out of memory
/// in the middle of a write would be fatal, and page faults are slow.
const RESERVED: usize = 16 << 20;

/// So many regions and loans may be unread, whatever their size,
const FEW_UNREAD: usize = 16;
/// and so many as long as they have no more bytes than the receiver's budget: they use up memory, and
/// descriptors.
const MOST_UNREAD: usize = 256;

/// The capacity up to which lanes to a receiver with this inbox budget grow. Both sides go by it.
pub(crate) fn largest_lane(budget: u64) -> usize {
    let budget = usize::try_from(budget).unwrap_or(usize::MAX / 4);
    budget.clamp(FIRST_CAPACITY, 1 << 40).next_power_of_two()
}

/// How many bytes the lanes of one sender have together that are not read to their end, at most. Both sides go by it:
/// each lane is at least twice as large as the one that it replaces, so that all of them have less than twice the bytes
/// of the largest.
pub(crate) fn most_lanes(budget: u64) -> u64 {
    (largest_lane(budget) as u64).saturating_mul(2)
}

/// All lanes to one receiver.
#[derive(Default)]
pub(crate) struct Lanes {
    /// The one that is written to.
    current: Option<Lane>,
    /// Those before it that are not drained yet, oldest first.
    retired: VecDeque<Lane>,
    made: u32,
    /// How much shared memory is in messages that are not read yet, as far as we have looked.
    afloat: Afloat,
    /// With so much it is time to look again.
    tidy_at: usize,
}

#[derive(Default)]
struct Afloat {
    count: usize,
    /// How many of them are regions. They have descriptors, which we close as soon as we can.
    regions: usize,
    bytes: u64,
}

struct Lane {
    number: u32,
    producer: Producer<Shared>,
    /// Kept until the receiver has mapped the lane, so that it can be offered again.
    object: Option<OwnedObject>,
    /// What is in messages that are not read yet.
    cargo: VecDeque<Freight>,
}

/// Shared memory in a message that is not read yet.
pub(crate) enum Cargo {
    /// A hold of a memory region.
    Region(Flight),
    /// A loan.
    Loan(u32),
}

struct Freight {
    /// The position behind the message.
    end: u64,
    /// In bytes.
    size: u64,
    cargo: Cargo,
}

/// Why there is no lane to write to.
pub(crate) enum NoLane {
    /// The channel is full: try again when the receiver has read from it.
    Full,
    /// The receiver is gone.
    Disconnected,
    /// No memory, no descriptors.
    Resources(io::Error),
}

impl Lanes {
    /// The lane to write to; the first one is made when it is first asked for.
    pub(crate) fn current(
        &mut self,
        first_capacity: usize,
        drops_oldest: bool,
        channel: &Channel,
        room: &Doorbell,
    ) -> Result<&mut Producer<Shared>, NoLane> {
        if self.current.is_none() {
            self.add(first_capacity, drops_oldest, channel, room)?;
        }
        self.last_mut().ok_or(NoLane::Disconnected)
    }

    /// The lane in use, if one was made.
    #[inline]
    pub(crate) fn last(&self) -> Option<&Producer<Shared>> {
        self.current.as_ref().map(|lane| &lane.producer)
    }

    /// The lane in use, if one was made.
    #[inline]
    pub(crate) fn last_mut(&mut self) -> Option<&mut Producer<Shared>> {
        self.current.as_mut().map(|lane| &mut lane.producer)
    }

    /// Replaces the lane in use by one of `capacity` bytes; what is in the old one is read first.
    pub(crate) fn add(
        &mut self,
        capacity: usize,
        drops_oldest: bool,
        channel: &Channel,
        room: &Doorbell,
    ) -> Result<(), NoLane> {
        let (object, mapping) =
            create_memory(Purpose::Shared, memory_len(capacity), capacity <= RESERVED)
                .map_err(NoLane::Resources)?;
        let producer = Producer::create(Shared::new(mapping), drops_oldest)
            .map_err(|error| NoLane::Resources(io::Error::other(error)))?;
        let lane = Lane {
            number: self.made,
            producer,
            object: Some(object),
            cargo: VecDeque::new(),
        };
        lane.offer(channel, room)?;
        self.made += 1;
        if let Some(mut old) = self.current.replace(lane) {
            old.producer.retire();
            self.retired.push_back(old);
        }
        Ok(())
    }

    /// Offers the lanes that the receiver has not mapped on a new channel: the old one broke
    /// before the receiver had its end.
    pub(crate) fn offer_again(&mut self, channel: &Channel, room: &Doorbell) -> Result<(), NoLane> {
        let mut lanes = self.retired.iter().chain(&self.current);
        lanes.try_for_each(|lane| lane.offer(channel, room))
    }

    /// How many bytes are not read yet, and how many the lanes have in which they are.
    pub(super) fn usage(&self) -> (u64, u64) {
        let lanes = self.retired.iter().chain(&self.current);
        lanes.fold((0, 0), |(unread, capacity), lane| {
            let producer = &lane.producer;
            let left = producer.produced().wrapping_sub(producer.consumed());
            (unread + left, capacity + producer.capacity() as u64)
        })
    }

    /// Notes shared memory that left with the message just written.
    #[inline]
    pub(crate) fn note(&mut self, size: u64, cargo: Cargo) {
        if let Some(lane) = &mut self.current {
            self.afloat.count += 1;
            self.afloat.regions += usize::from(matches!(cargo, Cargo::Region(_)));
            self.afloat.bytes += size;
            let end = lane.producer.produced();
            lane.cargo.push_back(Freight { end, size, cargo });
        }
    }

    /// Notes the regions that left with the message just written.
    pub(crate) fn note_flights(&mut self, flights: &mut Vec<Flight>) {
        for flight in flights.drain(..) {
            self.note(flight.block().size() as u64, Cargo::Region(flight));
        }
    }

    /// Whether the receiver has not so much unread shared memory that no more should be sent.
    #[inline]
    pub(crate) fn may_float(&self, budget: u64) -> bool {
        let Afloat { count, bytes, .. } = self.afloat;
        count < FEW_UNREAD || (count < MOST_UNREAD && bytes < budget)
    }

    /// Whether the receiver has read half of the shared memory that was sent.
    pub(crate) fn is_half_way(&self) -> bool {
        let consumed = self.last().map_or(0, Producer::consumed);
        self.half_way().is_none_or(|position| consumed >= position)
    }

    /// Up to where the receiver should have read before more shared memory is sent: half of it.
    pub(crate) fn half_way(&self) -> Option<u64> {
        let cargo = &self.current.as_ref()?.cargo;
        cargo.get(cargo.len() / 2).map(|freight| freight.end)
    }

    /// Forgets what the receiver has taken over, and tells which regions it knows now.
    pub(crate) fn tidy(&mut self, mut known: impl FnMut(&Arc<Block>)) {
        for lane in self.retired.iter_mut().chain(&mut self.current) {
            if lane.object.is_some() && lane.producer.slot().is_some() {
                lane.object = None;
            }
            if !lane.cargo.is_empty() {
                let consumed = lane.producer.consumed();
                while let Some(freight) = lane.next_freight(consumed, &mut self.afloat) {
                    if let Cargo::Region(flight) = freight.cargo {
                        known(flight.block());
                    }
                }
            }
        }
        self.tidy_at = self.afloat.count + FEW_UNREAD;
        while self.retired.front_mut().is_some_and(Lane::is_drained) {
            self.retired.pop_front();
        }
    }

    /// Whether `tidy` would find something, as far as a glance tells.
    #[inline]
    pub(crate) fn untidy(&self) -> bool {
        !self.retired.is_empty()
            || self.afloat.regions > 0
            || self.afloat.count > self.tidy_at
            || (self.current.as_ref()).is_some_and(|lane| lane.object.is_some())
    }

    /// The receiver is gone: gives back what it never saw.
    pub(crate) fn recall(&mut self, mut recalled: impl FnMut(Cargo)) {
        self.afloat = Afloat::default();
        for lane in self.retired.drain(..).chain(self.current.take()) {
            let consumed = lane.producer.consumed();
            let unread = lane.cargo.into_iter().filter(|it| it.end > consumed);
            unread.for_each(|freight| recalled(freight.cargo));
        }
    }

    /// Gives back what is in the message that was just dropped: the oldest one in the lane.
    pub(crate) fn recall_dropped(&mut self, end: u64, mut recalled: impl FnMut(Cargo)) {
        if let Some(lane) = &mut self.current {
            while let Some(freight) = lane.next_freight(end, &mut self.afloat) {
                if freight.end == end {
                    recalled(freight.cargo);
                }
            }
        }
    }
}

impl Lane {
    fn offer(&self, channel: &Channel, room: &Doorbell) -> Result<(), NoLane> {
        let Some(object) = &self.object else {
            return Ok(());
        };
        let packet = PairPacket::Lane {
            number: self.number,
        };
        let objects = [object.as_fd(), room.as_fd()];
        channel
            .try_send(&packet.encode(), &objects)
            .map_err(|error| match error {
                ChannelSendError::Full | ChannelSendError::TooManyInFlight => NoLane::Full,
                ChannelSendError::Disconnected => NoLane::Disconnected,
                ChannelSendError::Io(error) => NoLane::Resources(error),
                other => NoLane::Resources(io::Error::other(other)),
            })
    }

    /// What was in a message that ends at this position or before.
    fn next_freight(&mut self, end: u64, afloat: &mut Afloat) -> Option<Freight> {
        self.cargo.front().filter(|freight| freight.end <= end)?;
        let freight = self.cargo.pop_front()?;
        let regions = usize::from(matches!(freight.cargo, Cargo::Region(_)));
        afloat.count = afloat.count.saturating_sub(1);
        afloat.regions = afloat.regions.saturating_sub(regions);
        afloat.bytes = afloat.bytes.saturating_sub(freight.size);
        Some(freight)
    }

    fn is_drained(&mut self) -> bool {
        self.producer.slot().is_some() && self.producer.consumed() == self.producer.produced()
    }
}

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

/// The capacity up to which lanes to a receiver with this inbox budget grow. Both sides go by it.
pub(crate) fn largest_lane(budget: u64) -> usize {
    let budget = usize::try_from(budget).unwrap_or(usize::MAX / 4);
    budget.clamp(FIRST_CAPACITY, 1 << 40).next_power_of_two()
}

/// All lanes to one receiver.
#[derive(Default)]
pub(crate) struct Lanes {
    /// The one that is written to.
    current: Option<Lane>,
    /// Those before it that are not drained yet, oldest first.
    retired: VecDeque<Lane>,
    made: u32,
}

struct Lane {
    number: u32,
    producer: Producer<Shared>,
    /// Kept until the receiver has mapped the lane, so that it can be offered again.
    object: Option<OwnedObject>,
    /// Holds of memory regions in messages that are not read yet: the position behind the
    /// message, and the holds.
    flights: VecDeque<(u64, Vec<Flight>)>,
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
            flights: VecDeque::new(),
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

    /// Notes the holds that left with the message just written.
    pub(crate) fn note_flights(&mut self, flights: Vec<Flight>) {
        if let Some(lane) = &mut self.current
            && !flights.is_empty()
        {
            lane.flights.push_back((lane.producer.produced(), flights));
        }
    }

    /// Forgets what the receiver has taken over, and tells which regions it knows now.
    pub(crate) fn tidy(&mut self, mut known: impl FnMut(&Arc<Block>)) {
        for lane in self.retired.iter_mut().chain(&mut self.current) {
            if lane.object.is_some() && lane.producer.slot().is_some() {
                lane.object = None;
            }
            if !lane.flights.is_empty() {
                let consumed = lane.producer.consumed();
                while let Some((end, _)) = lane.flights.front()
                    && *end <= consumed
                {
                    let (_, flights) = lane.flights.pop_front().unwrap_or_default();
                    flights.iter().for_each(|flight| known(flight.block()));
                }
            }
        }
        while self.retired.front_mut().is_some_and(Lane::is_drained) {
            self.retired.pop_front();
        }
    }

    /// Whether `tidy` would find something, as far as a glance tells.
    #[inline]
    pub(crate) fn untidy(&self) -> bool {
        let untidy = |lane: &Lane| lane.object.is_some() || !lane.flights.is_empty();
        !self.retired.is_empty() || self.current.as_ref().is_some_and(untidy)
    }

    /// The receiver is gone: takes back the holds that it never saw.
    pub(crate) fn recall(&mut self) {
        for mut lane in self.retired.drain(..).chain(self.current.take()) {
            let consumed = lane.producer.consumed();
            for (end, flights) in lane.flights.drain(..) {
                if end > consumed {
                    flights.into_iter().for_each(Flight::recall);
                }
            }
        }
    }

    /// Takes back the holds of the message that was just dropped: the oldest one in the lane.
    pub(crate) fn recall_dropped(&mut self, end: u64) {
        if let Some(lane) = &mut self.current {
            while let Some((at, _)) = lane.flights.front()
                && *at <= end
            {
                if let Some((at, flights)) = lane.flights.pop_front()
                    && at == end
                {
                    flights.into_iter().for_each(Flight::recall);
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

    fn is_drained(&mut self) -> bool {
        self.producer.slot().is_some() && self.producer.consumed() == self.producer.produced()
    }
}

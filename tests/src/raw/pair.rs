//! What two endpoints have of each other, used by one that need not keep to the rules.

use super::Failure;
use ipmb_lane::{Memory, Producer, memory_len};
use ipmb_sys::{
    Access, Channel, ChannelSendError, Doorbell, Mapping, OwnedObject, Purpose, create_memory,
    map_memory, wait_writable,
};
use std::{
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

/// A mapping that may be written by anybody at any time.
#[derive(Clone)]
pub struct Shared(Arc<Mapping>);

impl Shared {
    /// Takes a mapping.
    pub fn new(mapping: Mapping) -> Self {
        Self(Arc::new(mapping))
    }

    /// Writes a byte.
    pub fn poke(&self, at: usize, value: u8) {
        if at < self.0.len() {
            // SAFETY: in bounds; all accesses from here are atomic, and other processes' are theirs.
            let byte = unsafe { AtomicU8::from_ptr(self.0.as_ptr().add(at)) };
            byte.store(value, Ordering::Relaxed);
        }
    }

    /// Writes a word at a multiple of eight.
    pub fn poke_word(&self, at: usize, value: u64) {
        if at.is_multiple_of(8) && at.checked_add(8).is_some_and(|end| end <= self.0.len()) {
            // SAFETY: in bounds and aligned, as a mapping begins with a page.
            let word = unsafe { AtomicU64::from_ptr(self.0.as_ptr().add(at).cast()) };
            word.store(value, Ordering::Release);
        }
    }

    /// Reads a word at a multiple of eight; 0 beyond the end.
    pub fn peek_word(&self, at: usize) -> u64 {
        if !at.is_multiple_of(8) || at.checked_add(8).is_none_or(|end| end > self.0.len()) {
            return 0;
        }
        // SAFETY: as in `poke_word`.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().add(at).cast()) }.load(Ordering::Acquire)
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: the mapping is page-aligned and stays where it is as long as a clone of the `Arc` lives;
// nobody makes references to it other than to atomics.
unsafe impl Memory for Shared {
    fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The kinds of packets on the channel between two endpoints.
pub mod packet {
    /// "I have my end."
    pub const HELLO: u8 = 0;
    /// A new lane. Objects: its memory, and a doorbell.
    pub const LANE: u8 = 1;
    /// Objects of a message.
    pub const OBJECTS: u8 = 2;
    /// Where loans are given back. Objects: a lease.
    pub const ACCOUNT: u8 = 3;
    /// Memory of which parts are lent. Objects: the memory.
    pub const SEGMENT: u8 = 4;

    /// A packet with its value.
    pub fn of(kind: u8, value: u64) -> [u8; 9] {
        let mut bytes = [kind; 9];
        bytes[1..].copy_from_slice(&value.to_le_bytes());
        bytes
    }
}

/// What an introduction brought.
pub struct Pair {
    /// To the peer.
    pub channel: Channel,
    /// The peer's.
    pub doorbell: OwnedObject,
    /// The peer's, which only the peer may write.
    pub page: OwnedObject,
    /// The peer's, which all who know it write.
    pub ready: OwnedObject,
}

impl Pair {
    /// Takes what an introduction brought, and says hello.
    ///
    /// # Errors
    ///
    /// Something is missing.
    pub fn new(objects: Vec<OwnedObject>) -> Result<Self, Failure> {
        let [channel, doorbell, page, ready] =
            <[_; 4]>::try_from(objects).map_err(|_| "an introduction without objects")?;
        let channel = Channel::from_object(channel)?;
        channel.try_send(&packet::of(packet::HELLO, 0), &[])?;
        Ok(Self {
            channel,
            doorbell,
            page,
            ready,
        })
    }

    /// Sends a packet with objects; waits a while if the peer is behind. `false`: it still is.
    ///
    /// # Errors
    ///
    /// The peer has cut us off.
    pub fn send(&self, bytes: &[u8], objects: &[&OwnedObject]) -> Result<bool, Failure> {
        let objects: Vec<_> = objects.iter().map(|object| object.as_fd()).collect();
        for _ in 0..100 {
            match self.channel.try_send(bytes, &objects) {
                Ok(()) => return Ok(true),
                Err(ChannelSendError::Full | ChannelSendError::TooManyInFlight) => {
                    wait_writable(self.channel.as_fd(), Some(Duration::from_millis(2)))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Makes a lane as an honest sender does, and offers it.
    ///
    /// # Errors
    ///
    /// The peer has cut us off, or there is no memory.
    pub fn lane(&self, number: u32, capacity: usize) -> Result<Lane, Failure> {
        let lane = Lane::new(capacity, false)?;
        self.offer(number, &lane.object, &lane.room)?;
        Ok(lane)
    }

    /// Offers anything as a lane.
    ///
    /// # Errors
    ///
    /// The peer has cut us off.
    pub fn offer(
        &self,
        number: u32,
        memory: &OwnedObject,
        room: &OwnedObject,
    ) -> Result<(), Failure> {
        let bytes = packet::of(packet::LANE, number.into());
        match self.send(&bytes, &[memory, room])? {
            true => Ok(()),
            false => Err("the peer does not read its channel".into()),
        }
    }

    /// Wakes the peer, whether it sleeps or not.
    pub fn ring(&self) {
        let _ = rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes());
    }

    /// The peer's ready set.
    ///
    /// # Errors
    ///
    /// It cannot be mapped.
    pub fn ready_set(&self) -> Result<Shared, Failure> {
        let mapping = map_memory(self.ready.as_fd(), Access::ReadWrite, 1..=1 << 20)?;
        Ok(Shared::new(mapping))
    }

    /// Whether the peer has cut us off.
    pub fn is_cut_off(&self) -> bool {
        self.channel.is_disconnected()
    }
}

/// A lane of our own.
pub struct Lane {
    /// To write to it as it should be.
    pub producer: Producer<Shared>,
    /// To write to it otherwise.
    pub memory: Shared,
    /// What is offered.
    pub object: OwnedObject,
    /// Our doorbell for room.
    pub room: OwnedObject,
}

impl Lane {
    /// One that nobody knows yet.
    ///
    /// # Errors
    ///
    /// There is no memory, or no descriptor.
    pub fn new(capacity: usize, drops_oldest: bool) -> Result<Self, Failure> {
        let (object, mapping) = create_memory(Purpose::Shared, memory_len(capacity), false)?;
        let memory = Shared::new(mapping);
        let producer = Producer::create(memory.clone(), drops_oldest)?;
        let room = Doorbell::create()?.into_object();
        Ok(Self {
            producer,
            memory,
            object,
            room,
        })
    }

    /// Writes a frame if there is room.
    pub fn push(&mut self, tag: u16, bytes: &[u8]) -> bool {
        let Ok(mut grant) = self.producer.reserve(bytes.len()) else {
            return false;
        };
        let written = grant.write(bytes).is_ok();
        grant.commit(tag);
        written
    }
}

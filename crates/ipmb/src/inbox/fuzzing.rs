//! For the harnesses in `fuzz/`, and nobody else: what one sender can do to its receiver.

use super::{
    attachments::{Delivery, Incoming},
    source::{Pull, Source},
};
use crate::{Bytes, MemoryRegion, loan::Views};
use ipmb_core::{EndpointId, LaneMessage, LoanRef, ParkId, TypeId};
use ipmb_sys::{Channel, OwnedObject};
use std::sync::Arc;

/// What came of looking for a message.
pub enum Pulled {
    /// One.
    Message(Received),
    /// Something was done.
    More,
    /// There is nothing.
    Nothing,
    /// The sender is cut off.
    Malformed,
    /// There are no descriptors, or no memory.
    Resources,
}

/// A message as it came in.
pub struct Received {
    /// Its type.
    pub type_id: TypeId,
    /// Its payload.
    pub payload: Vec<u8>,
    /// How many objects came with it.
    pub objects: usize,
    /// Its memory regions.
    pub regions: Vec<MemoryRegion>,
    /// What was lent.
    pub lent: Vec<Bytes>,
}

/// One sender, as its receiver sees it.
pub struct Inlet {
    source: Source,
    limit: u64,
}

impl Inlet {
    /// A sender with this channel, and a receiver that accepts lanes of `budget` bytes and messages of `limit`.
    pub fn new(channel: Channel, budget: u64, limit: u64) -> Self {
        let source = Source::new(EndpointId(1), 0, Arc::new(channel), 0, budget);
        Self { source, limit }
    }

    /// Looks for the next message, as a receiver that is awake does.
    pub fn pull(&mut self) -> Pulled {
        if self.source.channel_news().is_err() {
            return Pulled::Malformed;
        }
        let mut buffer = Vec::new();
        if let Some(tag) = self.source.pull_at_once(&mut buffer, self.limit)
            && let Some(received) = self.open_at_once(tag, std::mem::take(&mut buffer))
        {
            return Pulled::Message(received);
        }
        match self.source.pull(&mut buffer, self.limit) {
            Ok(Pull::Message(incoming)) => Pulled::Message(Received::new(incoming, &buffer)),
            Ok(Pull::More) => Pulled::More,
            Ok(Pull::Nothing) => Pulled::Nothing,
            Err(error) if error.is_of_the_sender() => Pulled::Malformed,
            Err(_) => Pulled::Resources,
        }
    }

    /// As the receiver's short way does; what that does not open is put back.
    fn open_at_once(&mut self, tag: u16, buffer: Vec<u8>) -> Option<Received> {
        let mut views = Views::new();
        let (type_id, buffer) = match tag {
            LaneMessage::TAG => {
                self.source.put_back(tag, buffer);
                return None;
            }
            _ if tag & LoanRef::TAG_BIT != 0 => {
                self.source.open_lent_at_once(tag, buffer, &mut views)?
            }
            _ => (self.source.type_of(tag)?, buffer),
        };
        let mut incoming = Incoming::plain(self.source.endpoint, type_id, 0..buffer.len());
        incoming.views = views;
        Some(Received::new(incoming, &buffer))
    }

    /// Does what is done now and then.
    pub fn tidy(&mut self) {
        let _ = (self.source.has_news(), self.source.dropped());
        self.source.tidy_regions();
    }

    /// Receives no more.
    pub fn close(mut self) {
        self.source.close();
        while self.source.drain() {}
    }
}

/// Opens a message that was parked.
pub fn open_parked(body: Vec<u8>, objects: Vec<OwnedObject>) -> Option<Received> {
    let id = ParkId {
        sender: EndpointId(1),
        sequence: 1,
    };
    let mut delivery = Delivery::new(id, body, objects);
    let incoming = delivery.open().ok()?;
    Some(Received::new(incoming, &delivery.body))
}

impl Received {
    fn new(incoming: Incoming, buffer: &[u8]) -> Self {
        // A range beyond the buffer would be a bug.
        let payload = buffer[incoming.payload].to_vec();
        Self {
            type_id: incoming.type_id,
            payload,
            objects: incoming.objects.len(),
            regions: incoming.regions,
            lent: incoming.views.into_iter().map(|(_, bytes)| bytes).collect(),
        }
    }
}

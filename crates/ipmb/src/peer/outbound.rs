//! A message on its way out.

use super::lending::Given;
use crate::{
    BytesMessage, Error, Message, MessageBox, Object, SendError, Sink,
    bytes::{RAW, Tail},
    loan::{Collector, Loans, Pool},
    region::{Block, Flight},
};
use ipmb_core::{Correlation, LaneMessage, LoanRef, MessageHeader, PLAIN_HEADER_LEN, ParkId};
use ipmb_sys::BorrowedObject;
use std::{borrow::Cow, io, os::fd::AsFd, sync::Arc};

/// Most bytes that a message has in its lane beside its payload. Receivers allow for so many, so
/// that their limit is one of payloads.
pub(crate) const ENVELOPE: usize = 1 << 20;

/// A message, encoded once, for any number of receivers.
pub(crate) struct Outbound<'a> {
    pub(crate) type_id: [u8; 16],
    /// The envelope of a message to which nothing is attached.
    header: [u8; PLAIN_HEADER_LEN],
    payload: Cow<'a, [u8]>,
    /// What stands behind that.
    tail: Option<Tail>,
    /// What of the payload is not in it.
    pub(super) lent: Option<Lent<'a>>,
    /// What the payload counts for where there are limits.
    pub(crate) size: usize,
    pub(crate) objects: &'a [Object],
    pub(crate) regions: &'a [crate::MemoryRegion],
    /// Set when the message was parked before: the receiver may have got it that way.
    pub(crate) parked: Option<ParkId>,
    /// Set if the message is a request or a reply.
    pub(crate) correlation: Option<Correlation>,
    /// Whether it has attachments, and therefore a number.
    numbered: bool,
}

impl<'a> Outbound<'a> {
    /// Encodes a message, with references to what was lent from a pool; without one, everything is
    /// copied.
    pub(crate) fn encode<T: MessageBox>(
        message: &'a Message<T>,
        pool: Option<&'a Arc<Pool>>,
    ) -> Result<Self, SendError> {
        let bytes = message.payload.as_bytes_message();
        let mut lent = None;
        let (type_id, payload) = match bytes {
            Some(bytes) => (RAW, Cow::Borrowed(&*bytes.data)),
            None => {
                let (bytes, loans) = encode(&message.payload, pool)?;
                lent = pool.and_then(|pool| Lent::new(pool, loans));
                (message.payload.uuid(), Cow::Owned(bytes))
            }
        };
        for region in &message.memory_regions {
            region.block().map_err(SendError::Attachment)?;
        }
        Ok(Self {
            type_id,
            header: MessageHeader::encode_fixed(type_id),
            size: bytes.map_or(payload.len(), BytesMessage::size),
            payload,
            tail: bytes.map(BytesMessage::tail),
            lent,
            objects: &message.objects,
            regions: &message.memory_regions,
            parked: None,
            correlation: None,
            numbered: !message.objects.is_empty() || !message.memory_regions.is_empty(),
        })
    }

    /// What is attached to a message whose payload goes another way.
    pub(crate) fn of_attachments<T: MessageBox>(message: &'a Message<T>) -> Self {
        let bytes = message.payload.as_bytes_message();
        Self {
            type_id: bytes.map_or_else(|| message.payload.uuid(), |_| RAW),
            regions: &message.memory_regions,
            ..Self::of_parked(&message.objects, true)
        }
    }

    /// A message whose body was made when it was parked. Its objects include those of its regions.
    pub(crate) fn of_parked(objects: &'a [Object], has_attachments: bool) -> Self {
        Self {
            type_id: [0; 16],
            header: MessageHeader::encode_fixed([0; 16]),
            payload: Cow::Borrowed(&[]),
            tail: None,
            lent: None,
            size: 0,
            objects,
            regions: &[],
            parked: None,
            correlation: None,
            numbered: has_attachments,
        }
    }

    /// The payload, in pieces, with the references to what is lent.
    pub(crate) fn payload(&self) -> [&[u8]; 2] {
        // What is bytes already has none.
        let behind = match &self.lent {
            Some(lent) => &lent.references,
            None => self.tail.as_ref().map_or(&[][..], Tail::as_slice),
        };
        [&self.payload, behind]
    }

    /// Whether some of it is not in the payload, but lent.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Whether it hands shared memory over.
    pub(super) fn shares(&self) -> bool {
        self.is_lent() || !self.regions.is_empty()
    }

    pub(crate) fn has_attachments(&self) -> bool {
        self.numbered
    }

    /// Whether there is nothing to say of it but its type.
    pub(crate) fn is_plain(&self) -> bool {
        !self.numbered && self.parked.is_none() && self.correlation.is_none()
    }
}

fn encode(
    payload: &impl MessageBox,
    pool: Option<&Arc<Pool>>,
) -> Result<(Vec<u8>, Loans), SendError> {
    let mut bytes = Vec::new();
    let mut sink = Sink::buffer(&mut bytes, Collector::new(pool));
    match payload.encode_into(&mut sink) {
        Ok(()) => {
            let loans = sink.into_loans();
            Ok((bytes, loans))
        }
        Err(error) if is_sink_full(&error) => {
            Err(SendError::Resources(io::ErrorKind::OutOfMemory.into()))
        }
        Err(error) => Err(SendError::Encode(error)),
    }
}

/// What of a payload is not in it, but lent.
pub(super) struct Lent<'a> {
    pub(super) pool: &'a Arc<Pool>,
    pub(super) loans: Loans,
    /// What follows the payload.
    references: Vec<u8>,
}

impl<'a> Lent<'a> {
    fn new(pool: &'a Arc<Pool>, loans: Loans) -> Option<Self> {
        if loans.is_empty() {
            return None;
        }
        let mut references = Vec::new();
        LoanRef::append_all(&loans, &mut references);
        Some(Self {
            pool,
            loans,
            references,
        })
    }
}

/// The bytes for a lane, in pieces.
pub(crate) struct Body<'a>(pub(crate) [&'a [u8]; 3]);

impl<'a> Body<'a> {
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    /// What is left behind the first bytes.
    pub(crate) fn rest(&self, mut offset: usize) -> [&'a [u8]; 3] {
        self.0.map(|piece| {
            let (before, rest) = piece.split_at(offset.min(piece.len()));
            offset -= before.len();
            rest
        })
    }
}

/// How far one message has come with one receiver.
#[derive(Default)]
pub(crate) struct Progress {
    /// What stands before the payload, if the message is not a plain one. Made when the way to the
    /// receiver is known.
    pub(crate) own: Option<Vec<u8>>,
    /// The tag of the message's frames.
    pub(crate) tag: u16,
    /// Whether the message has its number on this line.
    pub(crate) numbered: bool,
    /// Where the number stands in the body.
    pub(crate) number_at: Option<usize>,
    /// Holds of the message's memory regions for this receiver.
    pub(crate) flights: Vec<Flight>,
    /// What this receiver is lent.
    pub(crate) given: Option<Given>,
    /// Which regions' objects have to travel, as indices.
    pub(crate) region_objects: Vec<usize>,
    /// The number of the message among those with attachments.
    pub(crate) sequence: u64,
    pub(crate) objects_sent: usize,
    pub(crate) bytes_sent: u64,
    /// All bytes are sent, after some were before.
    pub(crate) sent: bool,
    /// The receiver was told that room is wanted for it.
    pub(crate) wanted: bool,
    /// The line is ours until the message is out.
    pub(crate) owns_line: bool,
}

impl Progress {
    /// The bytes for the lane.
    pub(crate) fn body<'b>(&'b self, outbound: &'b Outbound<'_>) -> Body<'b> {
        let before = match &self.own {
            Some(own) => own,
            None if self.tag & !LoanRef::TAG_BIT == LaneMessage::TAG => outbound.header.as_slice(),
            None => &[],
        };
        let [payload, tail] = outbound.payload();
        Body([before, payload, tail])
    }

    /// The objects that travel beside the lane: the user's, and those of regions that are new to the
    /// receiver.
    pub(crate) fn beside<'b>(
        &'b self,
        outbound: &'b Outbound<'_>,
    ) -> impl Iterator<Item = BorrowedObject<'b>> {
        let regions = self.shown().map(|block| block.object());
        outbound.objects.iter().chain(regions).map(Object::as_fd)
    }

    /// The regions whose objects have to travel.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Arc<Block>> {
        let flights = self.region_objects.iter();
        flights
            .filter_map(|&index| self.flights.get(index))
            .map(Flight::block)
    }

    /// Takes holds for this receiver and writes down what stands before the payload.
    pub(crate) fn prepare(
        &mut self,
        outbound: &Outbound<'_>,
        sequence: u64,
        mut knows: impl FnMut(&Arc<Block>) -> bool,
    ) -> io::Result<()> {
        if outbound.is_plain() {
            return Ok(());
        }
        for region in outbound.regions {
            self.flights.push(region.flight()?);
        }
        let mut header = MessageHeader {
            type_id: outbound.type_id,
            objects: u32::try_from(outbound.objects.len())
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
            regions: Default::default(),
            parked: outbound.parked,
            correlation: outbound.correlation,
        };
        for (index, flight) in self.flights.iter().enumerate() {
            let known = knows(flight.block());
            if !known {
                self.region_objects.push(index);
            }
            header.regions.push(flight.reference(!known));
        }
        self.sequence = sequence;
        let envelope = header.encoded_len() + size_of::<u64>();
        if envelope > ENVELOPE {
            let why = "the message has more memory regions than one message can have";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut own = Vec::new();
        own.try_reserve_exact(envelope)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        header.encode(&mut own);
        if outbound.has_attachments() {
            self.number_at = Some(own.len());
            own.extend_from_slice(&sequence.to_le_bytes());
        }
        self.own = Some(own);
        Ok(())
    }
}

impl Progress {
    /// For a message whose body was made when it was parked.
    pub(crate) fn of_parked(body: Vec<u8>, number_at: Option<usize>) -> Self {
        let mut progress = Self::default();
        progress.own = Some(body);
        progress.number_at = number_at;
        progress
    }

    /// Gives a body that is made already its number; `false` if there is none yet.
    pub(crate) fn renumber(&mut self, sequence: u64) -> bool {
        let Some(body) = self.own.as_mut() else {
            return false;
        };
        self.sequence = sequence;
        if let Some(at) = self.number_at
            && let Some(number) = body.get_mut(at..at + size_of::<u64>())
        {
            number.copy_from_slice(&sequence.to_le_bytes());
        }
        true
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // What was not handed over to a lane comes back.
        self.flights.drain(..).for_each(Flight::recall);
    }
}

/// Whether an encoding error only says that the sink was too small.
pub(crate) fn is_sink_full(error: &Error) -> bool {
    matches!(error, Error::Encode(error) if error.0 == postcard::Error::SerializeBufferFull)
}

//! What travels on the bus.

use crate::{
    BytesMessage, Error, LabelOp, MemoryRegion, Object, ReplyTo, Selector, SelectorMode, Sink,
    TypeUuid,
    bytes::{Received, as_bytes_message},
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// A payload, whom it is for, and what travels with it.
///
/// ```
/// use ipmb::{Message, Selector};
/// let mut message = Message::new(Selector::unicast("earth"), "hello".to_string());
/// message.memory_regions.push(ipmb::MemoryRegion::new(4096));
/// assert_eq!(message.payload, "hello");
/// ```
#[derive(Debug)]
pub struct Message<T> {
    pub(crate) address: Address,
    /// The typed content.
    pub payload: T,
    /// Kernel objects that are handed over with the message. Any number.
    pub objects: Vec<Object>,
    /// Shared memory that is handed over with the message, without a copy. Any number.
    pub memory_regions: Vec<MemoryRegion>,
}

/// Whom a message is for. No larger than a selector, as messages are moved about.
#[derive(Debug)]
pub(crate) enum Address {
    Selector(Selector),
    /// It is the reply to a request.
    Asker(ReplyTo),
    /// For us: it has come in. It may be a request.
    Received(Option<ReplyTo>),
}

/// Whom a message is for that was received and is sent on.
static ANYBODY: Selector = Selector {
    label_op: LabelOp::True,
    mode: SelectorMode::Unicast,
    ttl: Duration::ZERO,
};

impl<T: MessageBox> Message<T> {
    /// A message without attachments.
    pub fn new(selector: Selector, payload: T) -> Self {
        Self {
            address: Address::Selector(selector),
            payload,
            objects: Vec::new(),
            memory_regions: Vec::new(),
        }
    }

    /// The reply to a request, to which objects and memory regions can be added. It is sent as any
    /// message is, by the endpoint that has received the request.
    ///
    /// If who asked is gone, it is dropped, and sending it is `Ok`.
    pub fn reply(to: ReplyTo, payload: T) -> Self {
        Self {
            address: Address::Asker(to),
            payload,
            objects: Vec::new(),
            memory_regions: Vec::new(),
        }
    }
}

impl<T> Message<T> {
    /// Whom to reply to, if this message was received and is a request.
    pub fn reply_to(&self) -> Option<ReplyTo> {
        match self.address {
            Address::Received(to) => to,
            Address::Selector(_) | Address::Asker(_) => None,
        }
    }

    /// Whom it is for, unless it is a reply.
    #[inline]
    pub(crate) fn selector(&self) -> &Selector {
        match &self.address {
            Address::Selector(selector) => selector,
            Address::Asker(_) | Address::Received(_) => &ANYBODY,
        }
    }

    /// A message that came in.
    #[inline]
    pub(crate) fn received(
        payload: T,
        objects: Vec<Object>,
        memory_regions: Vec<MemoryRegion>,
        reply_to: Option<ReplyTo>,
    ) -> Self {
        Self {
            address: Address::Received(reply_to),
            payload,
            objects,
            memory_regions,
        }
    }
}

/// The types that an endpoint sends or receives: one payload type, or an enum of several with
/// `#[derive(MessageBox)]`.
///
/// Every `T: serde + TypeUuid` is one.
///
/// ```
/// use ipmb::{MessageBox, TypeUuid};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, TypeUuid)]
/// #[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"]
/// struct Position { x: f32, y: f32 }
///
/// #[derive(MessageBox)]
/// enum Telemetry {
///     Position(Position),
///     Text(String),
/// }
/// let boxed = Telemetry::Position(Position { x: 1.0, y: 2.0 });
/// assert_eq!(boxed.uuid(), Position::UUID);
/// ```
pub trait MessageBox: Send + 'static {
    /// Makes a value of the type that `uuid` names from its bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TypeUuidNotFound`] if the box has no such type (the message is skipped and
    /// counted), [`Error::Decode`] if the bytes are not such a value.
    fn decode(uuid: [u8; 16], data: &[u8]) -> Result<Self, Error>
    where
        Self: Sized;

    /// The bytes of the value.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the value cannot be encoded.
    fn encode(&self) -> Result<Vec<u8>, Error>;

    /// The type UUID of the value.
    fn uuid(&self) -> [u8; 16];

    /// Writes the bytes of the value to where they go, sparing a buffer in between.
    ///
    /// It may be called more than once for one message, and must write the same bytes each time.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the value cannot be encoded or the sink has no room.
    fn encode_into(&self, sink: &mut Sink<'_>) -> Result<(), Error> {
        sink.write(&self.encode()?)
    }

    /// What `decode` does, with the leave to take the buffer.
    #[doc(hidden)]
    fn decode_received(received: Received<'_>) -> Result<Self, Error>
    where
        Self: Sized,
    {
        Self::decode(received.uuid(), &received.encoded()?)
    }

    /// The value, if it need not be encoded.
    #[doc(hidden)]
    fn as_bytes_message(&self) -> Option<&BytesMessage> {
        None
    }
}

impl<T: TypeUuid + Serialize + DeserializeOwned + Send + 'static> MessageBox for T {
    fn decode(uuid: [u8; 16], data: &[u8]) -> Result<Self, Error> {
        if uuid == T::UUID {
            crate::decode(data)
        } else {
            Err(Error::TypeUuidNotFound)
        }
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        crate::encode(self)
    }

    #[inline]
    fn uuid(&self) -> [u8; 16] {
        T::UUID
    }

    #[inline]
    fn encode_into(&self, sink: &mut Sink<'_>) -> Result<(), Error> {
        crate::encode_into(self, sink)
    }

    #[inline(always)]
    fn decode_received(received: Received<'_>) -> Result<Self, Error> {
        if received.uuid() == T::UUID {
            received.decode()
        } else {
            Err(Error::TypeUuidNotFound)
        }
    }

    #[inline]
    fn as_bytes_message(&self) -> Option<&BytesMessage> {
        as_bytes_message(self)
    }
}

//! Payloads that are bytes already, and how they are spared copies.
//!
//! On the bus a [`BytesMessage`] is its data, and behind them its format: so the buffer into which such a payload was
//! received becomes the user's vector, less two bytes at its end. That form has a type id of its own; a message box
//! written by hand, which does not know it, reads and writes what postcard makes of the two fields.

use crate::{Error, errors::DecodeError};
use ipmb_core::TypeId;
use serde::{Deserialize, Serialize};
use std::{
    any::{self, Any},
    borrow::Cow,
    mem::{self, ManuallyDrop},
    ops::Range,
};
use type_uuid::TypeUuid;

/// Untyped bytes with a format number of the user's choice: for data that has its own encoding.
///
/// It is not encoded, and a large one is copied once when it is sent, and once when it is received.
///
/// ```
/// let bytes = ipmb::BytesMessage { format: 1, data: vec![1, 2, 3] };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ipmb_derive::TypeUuid)]
#[uuid = "dd95ba8e-1279-47cf-925e-83e614e79588"]
pub struct BytesMessage {
    /// What the bytes are; the bus does not look at it.
    pub format: u16,
    /// The bytes.
    #[serde(with = "whole")]
    pub data: Vec<u8>,
}

/// The type of a payload that is data, and then the format.
pub(crate) const RAW: TypeId = *b"\xdd\x95\xba\x8eipmbrawbytes";

impl BytesMessage {
    /// What it counts for where there are limits: what postcard would make of it, whichever way it goes.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        size(self.format, self.data.len())
    }

    /// Whether it counts for more than that.
    #[inline]
    pub(crate) fn exceeds(&self, limit: u64) -> bool {
        // Nearly always clear without an exact count.
        self.data.len() as u64 + MOST_BESIDE > limit && self.size() as u64 > limit
    }

    /// What stands on the bus behind the data.
    #[inline]
    pub(crate) fn tail(&self) -> Tail {
        self.format.to_le_bytes()
    }
}

/// What stands behind the data: the format.
pub(crate) type Tail = [u8; 2];

/// Bytes of a [`Tail`].
pub(crate) const TAIL_LEN: usize = size_of::<Tail>();

/// Most bytes that postcard needs for the format and the length.
const MOST_BESIDE: u64 = 3 + 10;

/// So many bytes of memory more than it needs are nothing for a vector.
const FEW: usize = 64;

/// The value, if it is one.
#[inline]
pub(crate) fn as_bytes_message<T: 'static>(value: &T) -> Option<&BytesMessage> {
    (value as &dyn Any).downcast_ref()
}

/// A payload as it came in, for the message box to make a value of.
pub struct Received<'a> {
    pub(crate) type_id: TypeId,
    /// The payload, and what is around it.
    pub(crate) buffer: &'a mut Vec<u8>,
    pub(crate) payload: Range<usize>,
}

impl Received<'_> {
    /// The type of the value.
    #[inline]
    pub fn uuid(&self) -> [u8; 16] {
        match self.type_id == RAW {
            true => BytesMessage::UUID,
            false => self.type_id,
        }
    }

    /// What the payload counts for where there are limits.
    pub(crate) fn size(&self) -> usize {
        match split(self.bytes()) {
            Ok((data, format)) if self.type_id == RAW => size(format, data.len()),
            _ => self.bytes().len(),
        }
    }

    /// The value as postcard encodes it.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the bytes cannot be a payload.
    pub(crate) fn encoded(&self) -> Result<Cow<'_, [u8]>, Error> {
        if self.type_id != RAW {
            return Ok(Cow::Borrowed(self.bytes()));
        }
        let (data, format) = split(self.bytes())?;
        let message = BytesMessage {
            format,
            data: data.to_vec(),
        };
        crate::encode(message).map(Cow::Owned)
    }

    /// Makes a `T` of what is one.
    #[inline(always)]
    pub(crate) fn decode<T: for<'de> Deserialize<'de> + 'static>(self) -> Result<T, Error> {
        if self.type_id != RAW {
            return crate::decode(self.bytes());
        }
        if any::TypeId::of::<T>() != any::TypeId::of::<BytesMessage>() {
            return Err(Error::TypeUuidNotFound);
        }
        let message = ManuallyDrop::new(self.into_bytes_message()?);
        // SAFETY: it is the same type. (Through `Any` it would be moved about: this is on the way of each message.)
        Ok(unsafe { mem::transmute_copy::<BytesMessage, T>(&message) })
    }

    /// Takes the buffer itself if there is little else in it.
    #[inline(always)]
    fn into_bytes_message(self) -> Result<BytesMessage, Error> {
        let (bytes, format) = split(self.bytes())?;
        let len = bytes.len();
        if self.payload.start > 0 || self.buffer.capacity() > len + len.max(FEW) {
            let data = copy_of(bytes);
            return Ok(BytesMessage { format, data });
        }
        let mut data = mem::take(self.buffer);
        data.truncate(len);
        Ok(BytesMessage { format, data })
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.payload.clone()).unwrap_or_default()
    }
}

#[inline(never)]
fn copy_of(bytes: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(bytes.len());
    ipmb_lane::append(&mut copy, bytes);
    copy
}

#[inline]
fn size(format: u16, data: usize) -> usize {
    varint(format.into()) + varint(data as u64) + data
}

/// Bytes that postcard takes for a number: seven bits in each, and at least one.
#[inline]
fn varint(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// Data and format.
#[inline]
fn split(raw: &[u8]) -> Result<(&[u8], u16), Error> {
    match raw.split_last_chunk::<TAIL_LEN>() {
        Some((data, format)) => Ok((data, u16::from_le_bytes(*format))),
        None => Err(DecodeError(postcard::Error::DeserializeUnexpectedEnd).into()),
    }
}

/// One copy of the whole slice instead of a loop over bytes.
mod whole {
    use serde::{Deserializer, Serializer, de};
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(data)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(Visitor)
    }

    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            let mut data = Vec::new();
            ipmb_lane::append(&mut data, bytes);
            Ok(data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MessageBox;

    fn raw(buffer: &mut Vec<u8>, payload: Range<usize>) -> Received<'_> {
        Received {
            type_id: RAW,
            buffer,
            payload,
        }
    }

    #[test]
    fn the_buffer_becomes_the_value_unless_it_is_much_larger() {
        let expected = BytesMessage {
            format: 0x201,
            data: b"data".to_vec(),
        };
        for (mut buffer, start, taken) in [
            (b"data\x01\x02".to_vec(), 0, true),
            (b"header data\x01\x02".to_vec(), 7, false),
            (Vec::with_capacity(5 + FEW), 0, false),
        ] {
            if buffer.is_empty() {
                buffer.extend(b"data\x01\x02");
            }
            let at = buffer.as_ptr();
            let end = buffer.len();
            let message = BytesMessage::decode_received(raw(&mut buffer, start..end)).unwrap();
            assert_eq!(message, expected);
            assert_eq!(message.data.as_ptr() == at, taken);
        }
    }

    #[test]
    fn what_is_too_short_or_outside_is_an_error() {
        for payload in [0..0, 0..1, 3..4, 0..9, 5..7] {
            let mut buffer = vec![0; 4];
            let decoded = BytesMessage::decode_received(raw(&mut buffer, payload));
            assert!(matches!(decoded, Err(Error::Decode(_))));
        }
    }

    #[test]
    fn the_size_is_that_of_what_postcard_makes() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            for format in [0, 1, 127, 128, 16_383, 16_384, u16::MAX] {
                let message = BytesMessage {
                    format,
                    data: vec![0; len],
                };
                let size = message.encode().unwrap().len();
                assert_eq!(message.size(), size);
                let mut payload = [&message.data[..], &message.tail()].concat();
                let end = payload.len();
                assert!(end <= size);
                assert!(message.exceeds(size as u64 - 1) && !message.exceeds(size as u64));
                assert!(size as u64 <= len as u64 + MOST_BESIDE);
                assert_eq!(raw(&mut payload, 0..end).size(), size);
            }
        }
    }

    /// As message boxes were written by hand before there were methods that it does not have.
    #[derive(Debug, PartialEq)]
    struct ByHand(BytesMessage);

    impl MessageBox for ByHand {
        fn decode(uuid: [u8; 16], data: &[u8]) -> Result<Self, Error> {
            match uuid == BytesMessage::UUID {
                true => Ok(Self(crate::decode(data)?)),
                false => Err(Error::TypeUuidNotFound),
            }
        }

        fn encode(&self) -> Result<Vec<u8>, Error> {
            crate::encode(&self.0)
        }

        fn uuid(&self) -> [u8; 16] {
            BytesMessage::UUID
        }
    }

    #[test]
    fn a_box_written_by_hand_knows_nothing_of_it() {
        let message = BytesMessage {
            format: 300,
            data: vec![7; 200],
        };
        let mut buffer = message.data.clone();
        buffer.extend(message.tail());
        let end = buffer.len();
        let decoded = ByHand::decode_received(raw(&mut buffer, 0..end)).unwrap();
        assert_eq!(decoded.0, message);

        let mut buffer = decoded.encode().unwrap();
        let received = Received {
            type_id: decoded.uuid(),
            payload: 0..buffer.len(),
            buffer: &mut buffer,
        };
        assert_eq!(BytesMessage::decode_received(received).unwrap(), message);
    }
}

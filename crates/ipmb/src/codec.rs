//! Payloads to bytes and back: postcard, a compact, specified format.

use crate::{
    Error,
    errors::{DecodeError, EncodeError},
    loan::{self, Collector, Loans},
    memory::Shared,
};
use ipmb_lane::{Grant, append};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// Encodes a payload.
///
/// # Errors
///
/// [`Error::Encode`] if the value's `Serialize` implementation fails.
///
/// ```
/// let bytes = ipmb::encode("moon")?;
/// assert_eq!(ipmb::decode::<String>(&bytes)?, "moon");
/// # Ok::<(), ipmb::Error>(())
/// ```
pub fn encode<T: Serialize>(value: T) -> Result<Vec<u8>, Error> {
    loan::not_collecting(|| postcard::to_stdvec(&value)).map_err(|error| EncodeError(error).into())
}

/// Decodes a payload.
///
/// # Errors
///
/// [`Error::Decode`] if the bytes are not a value of this type, or if some are left over.
///
/// ```
/// assert!(ipmb::decode::<String>(&[200]).is_err());
/// ```
pub fn decode<'de, T: Deserialize<'de>>(data: &'de [u8]) -> Result<T, Error> {
    match loan::decoding(|| postcard::take_from_bytes(data)) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(DecodeError(postcard::Error::DeserializeUnexpectedEnd).into()),
        Err(error) => Err(DecodeError(error).into()),
    }
}

/// Encodes a payload into a [`Sink`], as [`MessageBox::encode_into`](crate::MessageBox::encode_into)
/// does.
///
/// # Errors
///
/// [`Error::Encode`] if the value's `Serialize` implementation fails, or the sink is full.
#[inline]
pub fn encode_into<T: Serialize + ?Sized>(value: &T, sink: &mut Sink<'_>) -> Result<(), Error> {
    // What is written byte by byte is not to look each time where it goes.
    let Sink { target, loans } = sink;
    let encoded = loans.collect(|| match target {
        Target::Lane(grant) => postcard::serialize_with_flavor(value, ToLane(grant)),
        Target::Buffer(buffer) => postcard::serialize_with_flavor(value, ToBuffer(buffer)),
    });
    encoded.map_err(|error| EncodeError(error).into())
}

/// Where an encoded payload goes: straight into a receiver's lane, or into a buffer.
///
/// A [`MessageBox`](crate::MessageBox) gets one in `encode_into`; there is no other way to make
/// one.
///
/// ```
/// use ipmb::{Error, MessageBox, Sink};
/// struct Raw(Vec<u8>);
/// impl MessageBox for Raw {
///     fn decode(_: [u8; 16], data: &[u8]) -> Result<Self, Error> { Ok(Raw(data.to_vec())) }
///     fn encode(&self) -> Result<Vec<u8>, Error> { Ok(self.0.clone()) }
///     fn uuid(&self) -> [u8; 16] { *b"sixteen bytes id" }
///     fn encode_into(&self, sink: &mut Sink<'_>) -> Result<(), Error> { sink.write(&self.0) }
/// }
/// ```
pub struct Sink<'a> {
    target: Target<'a>,
    /// Lent bytes, which are not written but referred to.
    loans: Collector,
}

/// A vector takes what there is memory for, a lane what there is room for.
enum Target<'a> {
    Lane(Grant<'a, Shared>),
    Buffer(&'a mut Vec<u8>),
}

impl<'a> Sink<'a> {
    pub(crate) fn buffer(buffer: &'a mut Vec<u8>, loans: Collector) -> Self {
        Self {
            target: Target::Buffer(buffer),
            loans,
        }
    }

    pub(crate) fn lane(grant: Grant<'a, Shared>, loans: Collector) -> Self {
        Self {
            target: Target::Lane(grant),
            loans,
        }
    }

    /// The room in the lane, with what has been written to it, and what was lent of it.
    #[inline]
    pub(crate) fn into_lane(self) -> Option<(Grant<'a, Shared>, Loans)> {
        match self.target {
            Target::Lane(grant) => Some((grant, self.loans.loans)),
            Target::Buffer(_) => None,
        }
    }

    /// What was lent.
    pub(crate) fn into_loans(self) -> Loans {
        self.loans.loans
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if there is no room; pass it on, ipmb then takes another way.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = match &mut self.target {
            Target::Lane(grant) => ToLane(grant).try_extend(bytes),
            Target::Buffer(buffer) => ToBuffer(buffer).try_extend(bytes),
        };
        written.map_err(|error| EncodeError(error).into())
    }
}

struct ToLane<'a, 'b>(&'a mut Grant<'b, Shared>);

impl Flavor for ToLane<'_, '_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let written = self.0.write(bytes);
        written.map_err(|_| postcard::Error::SerializeBufferFull)
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

struct ToBuffer<'a>(&'a mut Vec<u8>);

impl Flavor for ToBuffer<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let reserved = self.0.try_reserve(bytes.len());
        reserved.map_err(|_| postcard::Error::SerializeBufferFull)?;
        append(self.0, bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

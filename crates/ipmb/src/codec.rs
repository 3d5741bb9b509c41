//! Payloads to bytes and back: postcard, a compact, specified format.

use crate::{
    Error,
    errors::{DecodeError, EncodeError},
};
use ipmb_lane::{Grant, Memory};
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
    postcard::to_stdvec(&value).map_err(|error| EncodeError(error).into())
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
    match postcard::take_from_bytes(data) {
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
pub fn encode_into<T: Serialize + ?Sized>(value: &T, sink: &mut Sink<'_>) -> Result<(), Error> {
    postcard::serialize_with_flavor(value, SinkFlavor(sink))
        .map_err(|error| EncodeError(error).into())
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
pub struct Sink<'a>(&'a mut dyn Write);

impl<'a> Sink<'a> {
    pub(crate) fn new(target: &'a mut dyn Write) -> Self {
        Self(target)
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if there is no room; pass it on, ipmb then takes another way.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.0.append(bytes) {
            Ok(())
        } else {
            Err(EncodeError(postcard::Error::SerializeBufferFull).into())
        }
    }
}

/// What a [`Sink`] writes to; `false` means that there was no room.
pub(crate) trait Write {
    fn append(&mut self, bytes: &[u8]) -> bool;
}

impl Write for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> bool {
        self.extend_from_slice(bytes);
        true
    }
}

impl<M: Memory> Write for Grant<'_, M> {
    fn append(&mut self, bytes: &[u8]) -> bool {
        self.write(bytes).is_ok()
    }
}

struct SinkFlavor<'a, 'b>(&'a mut Sink<'b>);

impl postcard::ser_flavors::Flavor for SinkFlavor<'_, '_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if self.0.0.append(bytes) {
            Ok(())
        } else {
            Err(postcard::Error::SerializeBufferFull)
        }
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

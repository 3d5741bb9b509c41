//! What holds for everything that is decoded.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use crate::meter;

/// What decoding may take: so much for each byte, and so much beside. An operator of an expression is one byte on the
/// wire, and two boxes and their places on a stack here.
const PER_BYTE: usize = 160;
const BESIDE: usize = 1024;

/// Decodes `bytes`, and checks that what comes out survives the round trip, that it has one encoding, no longer than
/// the one it came in, and that it took memory in proportion to the bytes.
pub(crate) fn round_trip<T: Debug + PartialEq>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Option<T>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Option<T> {
    let (value, peak) = meter::peak(|| decode(bytes));
    assert!(
        peak <= bytes.len() * PER_BYTE + BESIDE,
        "{} bytes took {peak} to decode",
        bytes.len()
    );
    let value = value?;
    let wire = encode(&value);
    assert!(wire.len() <= bytes.len(), "{wire:?} became longer");
    let again = decode(&wire);
    assert_eq!(again.as_ref(), Some(&value));
    assert_eq!(again.map(|again| encode(&again)), Some(wire));
    Some(value)
}

/// The same, for what has no functions of its own for that.
pub(crate) fn postcard_round_trip<T>(bytes: &[u8]) -> Option<T>
where
    T: Debug + PartialEq + Serialize + DeserializeOwned,
{
    let decode = |bytes: &[u8]| match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    };
    let encode = |value: &T| postcard::to_stdvec(value).expect("what was decoded can be encoded");
    round_trip(bytes, decode, encode)
}

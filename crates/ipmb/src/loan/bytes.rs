//! What users see of a loan: a buffer to fill, then bytes to read.

use super::{
    LoanError,
    ledger::View,
    pool::{Lent, Pool},
    scope,
};
use ipmb_core::LoanRef;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    ops::{Bound, Deref, DerefMut, RangeBounds},
    sync::Arc,
};

/// A buffer in shared memory, to be filled in place and then sent without a copy: see
/// [`EndpointSender::loan`](crate::EndpointSender::loan).
///
/// It begins at a multiple of 4096. What is in it at first is unspecified: zeroes, or what this
/// endpoint has sent before. Dropped, it is given back.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let options = ipmb::Options::new("com.example.loan", ipmb::label!("camera"), "").with_runtime_directory(directory.path().join("bus"));
/// # let (sender, _) = ipmb::join::<ipmb::Bytes, ()>(options, None)?;
/// let mut loan = sender.loan(1 << 20)?;
/// loan.fill(7);
/// loan.truncate(1000);
/// let bytes = loan.freeze();
/// assert!(bytes.is_shared() && bytes.len() == 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Loan {
    token: Token,
    len: usize,
}

impl Loan {
    pub(crate) fn take(pool: &Arc<Pool>, len: usize) -> Result<Self, LoanError> {
        let lent = pool.take(len).map_err(LoanError::Resources)?;
        Ok(Self {
            token: Token(Some(lent)),
            len,
        })
    }

    /// Makes it shorter. Nothing happens if it is not longer than `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Ends the writing: what is in it can be read from now on, and sent.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes {
            data: self.token.data(),
            len: self.len,
            keep: Keep::Lent(self.token),
        }
    }
}

// SAFETY: an address range that this value alone gives access to, as a vector does.
unsafe impl Send for Loan {}
// SAFETY: as above.
unsafe impl Sync for Loan {}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the chunk has so many bytes, is mapped as long as the token lives, and nobody
        // else uses it in this process; other processes cannot write to it.
        unsafe { std::slice::from_raw_parts(self.token.data(), self.len) }
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; receivers have given it back, and if one has not in truth, what it
        // sees is its own affair.
        unsafe { std::slice::from_raw_parts_mut(self.token.data(), self.len) }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len).finish()
    }
}

/// Bytes that cannot be changed, and are shared instead of copied: within the process by
/// [`clone`](Clone::clone) and [`slice`](Self::slice), and, if they are in memory that an endpoint
/// has [lent](crate::EndpointSender::loan), with all processes that they are sent to.
///
/// They can be a payload by themselves, or stand anywhere in one.
///
/// # When they are copied
///
/// [`is_shared`](Self::is_shared) of what arrives tells whether there was a copy. There is one
///
/// * of bytes that were not lent (they are in private memory, made `from` a vector), or were lent by
///   another endpoint than the one that sends them, as are those that a receiver sends on;
/// * in a message that is parked: its receiver is not known yet, and the sender may be gone then;
/// * for a receiver that has 8192 loans of the endpoint already and has not dropped them;
/// * in encodings other than that of messages, [`encode`](crate::encode) included;
/// * of those behind the first 1024 in one message.
///
/// # Sharing
///
/// The receiver sees the memory of the sender: it cannot write to it, but the sender can, if it does
/// not keep to the rules of this crate. Where the sender is not trusted, check a copy
/// ([`to_vec`](slice::to_vec)) and use the same copy. The sender gets the memory back when all
/// receivers have dropped their views of it; a receiver that was killed has.
///
/// ```
/// use ipmb::Bytes;
/// let bytes = Bytes::from(vec![1, 2, 3]);
/// assert_eq!(bytes.slice(1..), [2, 3]);
/// assert!(!bytes.is_shared());
/// ```
#[derive(Clone, ipmb_derive::TypeUuid)]
#[uuid = "5d2ff2f6-0e0c-4d0e-8a3c-4f2f3a0e7c11"]
pub struct Bytes {
    data: *const u8,
    len: usize,
    keep: Keep,
}

/// What keeps the bytes where they are.
#[derive(Clone)]
#[expect(dead_code, reason = "they are there to be dropped")]
enum Keep {
    Private(Arc<Vec<u8>>),
    /// Ours.
    Lent(Token),
    /// Somebody else's.
    View(Arc<View>),
}

impl Bytes {
    /// No bytes.
    pub fn new() -> Self {
        Self::from(Vec::new())
    }

    /// Whether they are in memory that is shared between processes: they have not been copied on
    /// their way here, or will not be if they are sent by the endpoint that lent them.
    pub fn is_shared(&self) -> bool {
        !matches!(self.keep, Keep::Private(_))
    }

    /// A part of them, without a copy.
    ///
    /// # Panics
    ///
    /// If the range is reversed or not within them.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        let part: &[u8] = &self[bounds as (Bound<usize>, Bound<usize>)];
        Self {
            data: part.as_ptr(),
            len: part.len(),
            keep: self.keep.clone(),
        }
    }

    /// Some bytes of a view.
    pub(super) fn of_view(view: View, data: *const u8, len: usize) -> Self {
        Self {
            data,
            len,
            keep: Keep::View(Arc::new(view)),
        }
    }

    /// How a message of an endpoint with this pool refers to them.
    pub(super) fn reference(&self, pool: *const Pool, position: u32) -> Option<LoanRef> {
        match &self.keep {
            Keep::Lent(Token(Some(lent))) if Arc::as_ptr(lent.pool()) == pool => {
                Some(lent.reference(position, self.data, self.len))
            }
            _ => None,
        }
    }
}

// SAFETY: bytes that are only read, as in a shared vector; what keeps them is `Send + Sync`.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `keep` keeps so many bytes there, and nobody in this process writes to them. That
        // the sender's process could is inherent in shared memory and documented above.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
            keep: Keep::Private(Arc::new(bytes)),
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: AsRef<[u8]> + ?Sized> PartialEq<B> for Bytes {
    fn eq(&self, other: &B) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes")
            .field("len", &self.len)
            .field("shared", &self.is_shared())
            .finish()
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() && scope::collect(self) {
            return serializer.serialize_bytes(&[]);
        }
        serializer.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let resolve = !deserializer.is_human_readable();
        let bytes = deserializer.deserialize_byte_buf(Visitor)?;
        Ok(resolve
            .then(scope::resolve)
            .flatten()
            .unwrap_or_else(|| Self::from(bytes)))
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut bytes: A) -> Result<Vec<u8>, A::Error> {
        let mut all = Vec::new();
        while let Some(byte) = bytes.next_element()? {
            all.push(byte);
        }
        Ok(all)
    }
}

/// A share of the right to a chunk. It has one until it is dropped.
#[derive(Clone)]
struct Token(Option<Arc<Lent>>);

impl Token {
    fn data(&self) -> *mut u8 {
        match &self.0 {
            Some(lent) => lent.data(),
            None => std::ptr::dangling_mut(),
        }
    }
}

impl Drop for Token {
    #[inline]
    fn drop(&mut self) {
        if let Some(lent) = self.0.take() {
            Lent::release(lent);
        }
    }
}

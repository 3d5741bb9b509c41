//! Shared memory that travels with messages.

mod block;
mod registry;
mod unique;

pub(crate) use block::{Block, Flight};
pub use registry::MemoryRegistry;

use crate::{MapError, Object};
use block::Hold;
use ipmb_core::RegionRef;
use std::{
    fmt, io,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// A block of shared memory. Sent in [`Message::memory_regions`](crate::Message), it arrives
/// without a copy; the receiver sees the same memory.
///
/// The value is one holder of the block: [`ref_count`](Self::ref_count) counts the holders in all
/// processes. Where it came from a [`MemoryRegistry`], a holder that is killed is not counted for ever: the registry
/// notices.
///
/// # Sharing
///
/// Whoever holds the block can write to it at any time, also while you look at what
/// [`map`](Self::map) returned. Agree on who writes when (a message is a good signal), or copy
/// before you validate what somebody else wrote.
///
/// ```
/// let mut region = ipmb::MemoryRegion::new(16 << 10);
/// region.map(..5)?.copy_from_slice(b"Hello");
/// assert_eq!(region.map(1..3)?, b"el");
/// assert!(region.map(..=16 << 10).is_err());
/// # Ok::<(), ipmb::MapError>(())
/// ```
pub struct MemoryRegion(Result<Hold, Failure>);

/// Why there is no memory: enough to make the same error as often as it is asked for.
#[derive(Clone, Copy, Debug)]
struct Failure(i32, io::ErrorKind);

impl MemoryRegion {
    /// A block of `size` bytes, zeroed. If the memory could not be had, [`map`](Self::map) and
    /// sending the region say so; [`try_new`](Self::try_new) says so at once.
    pub fn new(size: usize) -> Self {
        Self(
            Block::create(size, false)
                .and_then(hold)
                .map_err(Failure::from),
        )
    }

    /// A block of `size` bytes, zeroed.
    ///
    /// # Errors
    ///
    /// If there is no such amount of memory, or no free descriptor.
    ///
    /// ```
    /// assert!(ipmb::MemoryRegion::try_new(1 << 40).is_err());
    /// ```
    pub fn try_new(size: usize) -> io::Result<Self> {
        Block::create(size, false)
            .and_then(hold)
            .map(|hold| Self(Ok(hold)))
    }

    /// As [`try_new`](Self::try_new), with holders that are noticed to have died. It takes two
    /// descriptors in each process.
    fn try_new_watched(size: usize) -> io::Result<Self> {
        Block::create(size, true)
            .and_then(hold)
            .map(|hold| Self(Ok(hold)))
    }

    /// The region behind an object that was taken from [`object`](Self::object) and sent by
    /// itself. If it is no memory region, [`map`](Self::map) says so.
    pub fn from_object(object: Object) -> Self {
        Self(
            Block::open(object, None)
                .map_err(|(error, _)| error)
                .and_then(hold)
                .map_err(Failure::from),
        )
    }

    /// The bytes of a range of the region.
    ///
    /// # Errors
    ///
    /// [`MapError::OutOfRange`] if the range is reversed or not within the region;
    /// [`MapError::Memory`] if there is no memory behind it.
    pub fn map(&mut self, range: impl RangeBounds<usize>) -> Result<&mut [u8], MapError> {
        let hold = self
            .0
            .as_ref()
            .map_err(|why| MapError::Memory(why.error()))?;
        let (start, end) = resolve(range, hold.block().size())?;
        let data = hold.block().data();
        // SAFETY: `start..end` is within the block's data, which is mapped for reading and
        // writing as long as `self` lives, and any bytes are valid `u8`s. That other holders may
        // write at the same time is inherent in shared memory and documented above.
        Ok(unsafe { std::slice::from_raw_parts_mut(data.add(start), end - start) })
    }

    /// Size in bytes; 0 if there is no memory behind the region.
    pub fn buffer_size(&self) -> u64 {
        self.0.as_ref().map_or(0, |hold| hold.block().size() as u64)
    }

    /// How many holders there are, in all processes, messages on their way included.
    pub fn ref_count(&self) -> u32 {
        self.0.as_ref().map_or(1, |hold| hold.block().holders())
    }

    /// One more holder of the same block.
    ///
    /// # Errors
    ///
    /// If there is no memory behind the region, or it has some 2000 holders already.
    #[allow(
        clippy::should_implement_trait,
        reason = "it can fail; the name is that of ipmb 0.8"
    )]
    pub fn clone(&self) -> io::Result<Self> {
        let held = self.0.as_ref().map_err(|why| why.error())?;
        hold(Arc::clone(held.block())).map(|hold| Self(Ok(hold)))
    }

    /// The kernel object behind the region.
    ///
    /// # Panics
    ///
    /// If the memory could not be had, which [`try_new`](Self::try_new) reports.
    pub fn object(&self) -> &Object {
        match &self.0 {
            Ok(hold) => hold.block().object(),
            Err(why) => panic!("the region has no memory: {}", why.error()),
        }
    }

    /// Returns the region itself.
    #[deprecated(since = "0.9.0", note = "`new` and `alloc` return the region itself")]
    #[must_use]
    pub fn unwrap(self) -> Self {
        self
    }

    /// Returns the region itself.
    #[deprecated(since = "0.9.0", note = "`new` and `alloc` return the region itself")]
    #[must_use]
    pub fn expect(self, _message: &str) -> Self {
        self
    }

    pub(crate) fn block(&self) -> io::Result<&Arc<Block>> {
        match &self.0 {
            Ok(hold) => Ok(hold.block()),
            Err(why) => Err(why.error()),
        }
    }

    /// The region that a message refers to; the hold passes from the sender to us.
    pub(crate) fn adopt(block: &Arc<Block>, reference: &RegionRef) -> Self {
        Self(Hold::adopt(block, reference).map_err(Failure::from))
    }

    /// A region that could not be taken over; `map` says why.
    pub(crate) fn missing(why: io::Error) -> Self {
        Self(Err(why.into()))
    }

    /// One more holder: a message on its way.
    pub(crate) fn flight(&self) -> io::Result<Flight> {
        Flight::new(self.block()?)
    }
}

impl fmt::Debug for MemoryRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegion")
            .field("buffer_size", &self.buffer_size())
            .field("ref_count", &self.ref_count())
            .finish_non_exhaustive()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(0), error.kind())
    }
}

impl Failure {
    fn error(self) -> io::Error {
        match self.0 {
            0 => self.1.into(),
            code => io::Error::from_raw_os_error(code),
        }
    }
}

fn hold(block: Arc<Block>) -> io::Result<Hold> {
    Hold::new(&block)
}

fn resolve(range: impl RangeBounds<usize>, size: usize) -> Result<(usize, usize), MapError> {
    let start = match range.start_bound() {
        Bound::Included(&start) => Some(start),
        Bound::Excluded(&start) => start.checked_add(1),
        Bound::Unbounded => Some(0),
    };
    let end = match range.end_bound() {
        Bound::Included(&end) => end.checked_add(1),
        Bound::Excluded(&end) => Some(end),
        Bound::Unbounded => Some(size),
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && end <= size => Ok((start, end)),
        _ => Err(MapError::OutOfRange {
            start: start.unwrap_or(usize::MAX),
            end: end.unwrap_or(usize::MAX),
            size,
        }),
    }
}

use crate::fence;
use crate::memory::{LaneError, Memory};
use crate::region::Region;
use crate::sync::Ordering;

const EPOCH: usize = 0;
/// Written once: whether the receiver's fence reaches the senders.
const HEAVY: usize = 8;
const LEN: usize = 64;

/// The receiver's side of "does it sleep?": a page that the receiver alone writes. It holds an epoch, odd while the
/// receiver sleeps or is about to.
pub struct Sleeper<M: Memory> {
    region: Region<M>,
    epoch: u64,
}

impl<M: Memory> Sleeper<M> {
    /// Says "awake" in this memory.
    ///
    /// # Errors
    ///
    /// [`LaneError::BadSize`]: less than 64 bytes.
    pub fn new(mem: M) -> Result<Self, LaneError> {
        let region = Region::new(mem, LEN)?;
        region
            .word(HEAVY)
            .store(u64::from(fence::has_heavy()), Ordering::Relaxed);
        region.word(EPOCH).store(0, Ordering::Release);
        Ok(Self { region, epoch: 0 })
    }

    /// Says "I sleep", and gives the epoch. The receiver must then look at all its lanes once more before it really
    /// does.
    pub fn arm(&mut self) -> u64 {
        self.epoch = self.epoch.wrapping_add(1) | 1;
        self.region.word(EPOCH).store(self.epoch, Ordering::Relaxed);
        // Against `Waker::fence`: we see what was sent, or the sender sees that we sleep.
        fence::heavy();
        self.epoch
    }

    /// Says "awake". Nothing happens if it was.
    pub fn disarm(&mut self) {
        if self.is_armed() {
            self.epoch = self.epoch.wrapping_add(1);
            self.region.word(EPOCH).store(self.epoch, Ordering::Release);
        }
    }

    /// Whether [`arm`](Self::arm) was the last that was called.
    pub fn is_armed(&self) -> bool {
        !self.epoch.is_multiple_of(2)
    }
}

/// A sender's side of "does it sleep?". It only reads: a read-only mapping is enough. Safe to share between threads.
pub struct Waker<M: Memory> {
    region: Region<M>,
    heavy: bool,
}

impl<M: Memory> Waker<M> {
    /// The receiver's page.
    ///
    /// # Errors
    ///
    /// [`LaneError::BadSize`]: less than 64 bytes.
    pub fn new(mem: M) -> Result<Self, LaneError> {
        let region = Region::new(mem, LEN)?;
        let heavy = region.peek(HEAVY) == 1;
        Ok(Self { region, heavy })
    }

    /// The one fence of a send: between publishing the message (or several) and asking who must be told, by
    /// [`ReadySet::set`](crate::ReadySet::set) and [`should_ring`](Self::should_ring).
    ///
    /// Costs nothing if the receiver's [`arm`](Sleeper::arm) comes with a
    /// [process barrier](crate::set_process_barrier) and this process takes part in it.
    #[inline]
    pub fn fence(&self) {
        fence::light(self.heavy);
    }

    /// Whether the receiver sleeps and this sender has not rung for that sleep yet: then ring its doorbell.
    ///
    /// To be called after the message has been published, and [`fence`](Self::fence). `last_rung` belongs to the sender,
    /// begins as 0, and holds the epoch for which it last rang.
    #[inline]
    pub fn should_ring(&self, last_rung: &mut u64) -> bool {
        let epoch = self.region.peek(EPOCH);
        if epoch.is_multiple_of(2) || epoch == *last_rung {
            return false;
        }
        *last_rung = epoch;
        true
    }
}

//! The lock-free part of ipmb: bytes between two mappings it is given.
//!
//! | type | what it is | who writes it |
//! |---|---|---|
//! | [`Producer`], [`Consumer`] | a lane: a one-way ring of messages | both |
//! | [`ReadySet`] | which lanes of an inbox have news (a hint) | both |
//! | [`Sleeper`], [`Waker`] | does the receiver sleep? | the receiver |
//! | [`LogWriter`], [`LogReader`] | a list of records that grows and is replaced: the directory | the writer |
//! | [`Cells`] | who holds a memory region | all |
//! | [`Lender`], [`Borrower`] | loans that come back | the borrower, but for a table |
//! | [`Word`] | one number | all, or one |
//!
//! There is not one system call here: whoever uses these types maps the [`Memory`], and sleeps and rings on
//! doorbells of its own. The order of a send and of a sleep is what makes that work:
//!
//! ```text
//! sender                                receiver
//! Grant::commit        (publish)        Sleeper::arm        (say "I sleep", fence)
//! Waker::fence         (fence)          look at every lane  (Consumer::has_news)
//! ReadySet::set                         news: Sleeper::disarm, and receive
//! Waker::should_ring -> ring            none: sleep on the doorbell, then Sleeper::disarm
//! ```
//!
//! Of two threads that each write, fence, and then read what the other wrote, at least one sees the other's
//! write. So a sender that publishes while the receiver goes to sleep either is seen, or sees and rings.
//! `tests/loom.rs` tries every order of the two, and fails when a fence is taken away.
//!
//! # The other side may lie
//!
//! Whoever holds a mapping may write any byte of it at any time. So every index and header is read once, copied,
//! and then checked; payloads are copied out before anyone looks at them; there is no slice over shared memory;
//! what a peer says about lengths reserves addresses, up to a multiple of the ring it made us map, and memory is
//! taken only as bytes arrive; and every loop has a bound. A lie is answered with [`Corrupt`], or hurts only the liar.
//!
//! # Loom
//!
//! With `--cfg loom` the atomics are loom's, a byte of shared memory is a byte of a loom atomic, and the layouts
//! are smaller, so that all interleavings can be tried. Only [`HeapMemory`] works then.

mod biased;
mod bulk;
mod cells;
mod fence;
mod lane;
mod log;
mod memory;
mod ready;
mod region;
mod returns;
mod sleep;
mod sync;
#[cfg(loom)]
mod weak;
mod word;

pub use biased::{BiasedGuard, BiasedMutex, BiasedStay};
pub use bulk::append;
pub use cells::Cells;
pub use fence::{set_process_barrier, take_part_in_barriers};
pub use lane::consumer::{Consumer, Popped};
pub use lane::producer::{Full, Grant, Overrun, Producer};
pub use lane::{Corrupt, HEADER_LEN, MIN_CAPACITY, memory_len};
pub use log::reader::{LogRead, LogReader};
pub use log::writer::{LogFull, LogWriter};
pub use memory::{HeapMemory, LaneError, Memory};
pub use ready::{READY_LEN, READY_SLOTS, ReadySet};
pub use returns::{Borrower, LOAN_SLOTS, LOANS_LEN, Lender, MOST_LOANS};
pub use sleep::{Sleeper, Waker};
#[cfg(loom)]
pub use weak::{Weak, Weakened, weaken};
pub use word::Word;

//! The chaos harness: processes that join, send, receive, stop and are killed at random, and a
//! ledger outside of them that says what came of each message.
//!
//! * [`dice`]: what is random, and follows from the seed;
//! * [`words`]: labels and expressions over them, as numbers that fit a record;
//! * [`record`], [`book`]: what the processes write down before and after everything that they do,
//!   in files that survive them;
//! * [`mail`]: the messages, which say who sent them and what is in them;
//! * [`ledger`]: judges, from all records, what had to arrive and what did.
//!
//! The program `chaos` is both the supervisor and the endpoints.

pub mod book;
pub mod dice;
pub mod ledger;
pub mod mail;
pub mod record;
pub mod words;

use std::time::Duration;

/// What time it is, in nanoseconds, on the clock that all processes share.
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A duration in the unit of [`now`].
pub const fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

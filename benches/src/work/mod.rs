//! What the systems are made to do, a file per kind of work.

mod attachments;
mod failover;
mod first_contact;
mod footprint;
mod join;
mod kind;
mod latency;
mod round_trip;
mod stalled;
mod stream;
mod window;

pub(crate) use kind::{About, Work};
pub(crate) use stream::receive as receive_stream;

use crate::{
    Result,
    peers::{Peer, Role, Seat},
};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// What some processes are to do together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub work: Work,
    /// Bytes of a message.
    pub size: usize,
    pub receivers: usize,
    pub senders: usize,
    /// How long it runs before anything counts.
    pub warm_up: Duration,
    /// How long it is measured.
    pub time: Duration,
}

impl Task {
    pub(crate) fn processes(&self) -> usize {
        self.receivers + self.senders
    }
}

/// What came out, by name. Names of latencies end in their unit.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// Takes a seat and does the task, as one of its processes.
pub(crate) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    match task.work {
        Work::OneWay | Work::FanOut | Work::FanIn | Work::ManyToMany => {
            stream::play::<P>(seat, task)
        }
        Work::RoundTrip | Work::RoundTripAsleep => round_trip::play::<P>(seat, task),
        Work::Request => round_trip::play_request::<P>(seat, task),
        Work::Loans => attachments::loans::<P>(seat, task),
        Work::RegionsFresh => attachments::regions::<P>(seat, task, true),
        Work::RegionsRecycled => attachments::regions::<P>(seat, task, false),
        Work::Objects => attachments::objects::<P>(seat, task),
        Work::Join => join::play::<P>(seat, task),
        Work::FirstContact => first_contact::play::<P>(seat, task),
        Work::Failover => failover::play::<P>(seat, task),
        Work::Stalled => stalled::play::<P>(seat, task),
        Work::Footprint => footprint::play::<P>(seat, task),
    }
}

/// Connects, and waits until all others have.
fn meet<P: Peer>(seat: &Seat) -> Result<P> {
    let peer = P::connect(seat)?;
    if seat.role == Role::Sender {
        seat.wait_for_all()?;
    }
    Ok(peer)
}

/// Repeats a step for about `time`, at least once, and says how often. It looks at the clock
/// every 100 µs or so, lest it measures the clock.
fn repeat(time: Duration, mut step: impl FnMut() -> Result<()>) -> Result<u64> {
    let start = Instant::now();
    let mut last = start;
    let mut steps = 0;
    let mut batch = 1;
    loop {
        for _ in 0..batch {
            step()?;
        }
        steps += batch;
        let now = Instant::now();
        if now - start >= time {
            return Ok(steps);
        }
        if now - last < Duration::from_micros(50) {
            batch *= 2;
        } else if now - last > Duration::from_micros(200) {
            batch = (batch / 2).max(1);
        }
        last = now;
    }
}

/// CPU time of this process, all threads, user and kernel.
fn cpu_time() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// A time that all processes share.
fn monotonic_time() -> Duration {
    duration(clock_gettime(ClockId::Monotonic))
}

fn duration(time: rustix::time::Timespec) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

//! What the systems are made to do, a file per kind of work.

mod one_way;
mod round_trip;

use crate::{
    Result,
    peers::{Peer, Role, Seat},
};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    OneWay,
    RoundTrip,
    RoundTripAsleep,
}

/// What two processes are to do together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub work: Work,
    /// Bytes of a message.
    pub size: usize,
    /// How long it runs before anything counts.
    pub warm_up: Duration,
    /// How long it is measured.
    pub time: Duration,
}

/// What came out, by name. Names of latencies end in their unit.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// By which figure systems are compared.
pub(crate) struct Headline {
    pub figure: &'static str,
    pub more_is_better: bool,
}

const KIB: usize = 1 << 10;

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::OneWay, Self::RoundTrip, Self::RoundTripAsleep];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneWay => "one-way",
            Self::RoundTrip => "round-trip",
            Self::RoundTripAsleep => "round-trip-asleep",
        }
    }

    /// Its name above a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OneWay => "one way, as fast as it goes",
            Self::RoundTrip => "round trip, both awake",
            Self::RoundTripAsleep => "round trip at 1 kHz, the receiver asleep",
        }
    }

    /// The sizes of messages, in bytes, that are measured if nobody asks for others.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            Self::OneWay => &[16, 64, KIB, 4 * KIB, 16 * KIB, 64 * KIB, KIB * KIB],
            Self::RoundTrip | Self::RoundTripAsleep => &[64],
        }
    }

    pub(crate) fn headline(self) -> Headline {
        let (figure, more_is_better) = match self {
            Self::OneWay => (one_way::RATE, true),
            Self::RoundTrip | Self::RoundTripAsleep => (round_trip::MEDIAN, false),
        };
        Headline {
            figure,
            more_is_better,
        }
    }

    /// The other figures that the table shows.
    pub(crate) fn details(self) -> &'static [&'static str] {
        match self {
            Self::OneWay => &[one_way::SENDER_CPU, one_way::RECEIVER_CPU],
            Self::RoundTrip | Self::RoundTripAsleep => &[round_trip::P99],
        }
    }
}

/// Takes a seat and does the task, as one of the two processes.
pub(crate) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let mut peer = P::connect(seat)?;
    match (task.work, seat.role) {
        (Work::OneWay, Role::First) => one_way::receive(&mut peer, task),
        (Work::OneWay, Role::Second) => one_way::send(&mut peer, task),
        (Work::RoundTrip | Work::RoundTripAsleep, Role::First) => round_trip::echo(&mut peer, task),
        (Work::RoundTrip, Role::Second) => round_trip::ask(&mut peer, task, None),
        (Work::RoundTripAsleep, Role::Second) => {
            round_trip::ask(&mut peer, task, Some(Duration::from_millis(1)))
        }
    }
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
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

//! What the systems are made to do, a file per kind of work.

mod round_trip;
mod stream;

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
    FanOut,
    FanIn,
    ManyToMany,
}

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

/// By which figure systems are compared.
pub(crate) struct Headline {
    pub figure: &'static str,
    pub more_is_better: bool,
}

const KIB: usize = 1 << 10;

impl Work {
    pub(crate) const ALL: [Self; 6] = [
        Self::OneWay,
        Self::RoundTrip,
        Self::RoundTripAsleep,
        Self::FanOut,
        Self::FanIn,
        Self::ManyToMany,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneWay => "one-way",
            Self::RoundTrip => "round-trip",
            Self::RoundTripAsleep => "round-trip-asleep",
            Self::FanOut => "fan-out",
            Self::FanIn => "fan-in",
            Self::ManyToMany => "many-to-many",
        }
    }

    /// Its name above a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OneWay => "one way, as fast as it goes",
            Self::RoundTrip => "round trip, both awake",
            Self::RoundTripAsleep => "round trip at 1 kHz, the receiver asleep",
            Self::FanOut => "fan-out: each message to all receivers; deliveries count",
            Self::FanIn => "fan-in: several senders to one receiver",
            Self::ManyToMany => "many to many: each message to all receivers; deliveries count",
        }
    }

    /// The sizes of messages, in bytes, that are measured if nobody asks for others.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            Self::OneWay => &[
                16,
                64,
                KIB,
                4 * KIB,
                16 * KIB,
                64 * KIB,
                KIB * KIB,
                16 * KIB * KIB,
            ],
            _ => &[64],
        }
    }

    /// How many receivers and senders there are.
    pub(crate) fn crews(self) -> &'static [(usize, usize)] {
        match self {
            Self::FanOut => &[(1, 1), (2, 1), (4, 1), (8, 1), (16, 1)],
            Self::FanIn => &[(1, 1), (1, 2), (1, 4), (1, 8)],
            Self::ManyToMany => &[(4, 4)],
            _ => &[(1, 1)],
        }
    }

    /// Makes one figure of those of two processes.
    pub(crate) fn combine(self, name: &str, a: f64, b: f64) -> f64 {
        if name == stream::FAIRNESS {
            a.min(b)
        } else {
            a + b
        }
    }

    pub(crate) fn headline(self) -> Headline {
        let (figure, more_is_better) = match self {
            Self::OneWay | Self::FanOut | Self::FanIn | Self::ManyToMany => (stream::RATE, true),
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
            Self::OneWay => &[stream::CPU, stream::SENDER_CPU, stream::RECEIVER_CPU],
            Self::FanOut => &[stream::CPU],
            Self::FanIn | Self::ManyToMany => &[stream::CPU, stream::FAIRNESS],
            Self::RoundTrip | Self::RoundTripAsleep => &[round_trip::P99],
        }
    }
}

/// Takes a seat and does the task, as one of its processes.
pub(crate) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let mut peer = P::connect(seat)?;
    if seat.role == Role::Sender {
        seat.wait_for_all()?;
    }
    match (task.work, seat.role) {
        (Work::OneWay | Work::FanOut | Work::FanIn | Work::ManyToMany, Role::Receiver) => {
            stream::receive(&mut peer, task)
        }
        (Work::OneWay | Work::FanOut | Work::FanIn | Work::ManyToMany, Role::Sender) => {
            stream::send(&mut peer, seat, task)
        }
        (Work::RoundTrip | Work::RoundTripAsleep, Role::Receiver) => {
            round_trip::echo(&mut peer, task)
        }
        (Work::RoundTrip, Role::Sender) => round_trip::ask(&mut peer, task, None),
        (Work::RoundTripAsleep, Role::Sender) => {
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

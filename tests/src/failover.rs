//! Controllers that are killed, and how soon the bus is itself again.

use crate::{Bus, DEADLINE, Peer, traffic};
use ipmb::{BytesMessage, Message, Selector, label};
use rustix::process::Signal;
use std::{
    fmt, thread,
    time::{Duration, Instant},
};

/// Two processes that may be the controller, of which one is.
pub struct Controllers<'a> {
    bus: &'a Bus,
    controller: Peer,
    next: Peer,
}

impl<'a> Controllers<'a> {
    /// Starts both. Nobody may have joined before who would be the controller, too.
    pub fn start(bus: &'a Bus) -> Self {
        let controller = candidate(bus);
        let next = candidate(bus);
        Self {
            bus,
            controller,
            next,
        }
    }

    /// Kills the controller as `kill -9` does, without waiting for anything. Returns when.
    pub fn kill(&self) -> Instant {
        let now = Instant::now();
        self.controller.signal(Signal::KILL);
        now
    }

    /// Kills the controller, and waits until it is dead.
    pub fn kill_and_wait(&mut self) {
        self.controller.kill();
    }

    /// Kills both, and waits until they are dead. Nobody is the controller then.
    pub fn kill_all(mut self) {
        self.controller.kill();
        self.next.kill();
    }

    /// Has another process ready for the next time. Waits until there is a controller again.
    pub fn replace(&mut self) {
        let fresh = candidate(self.bus);
        self.controller = std::mem::replace(&mut self.next, fresh);
    }
}

fn candidate(bus: &Bus) -> Peer {
    let candidate = bus.peer("candidate", &[]);
    candidate.expect("joined");
    candidate
}

/// So many controllers are killed when failover is measured.
pub const KILLS: u64 = 50;
/// So many probes are sent meanwhile.
pub const PROBES: u64 = 2 * KILLS;

/// How long things took, from the kill on.
#[derive(Default)]
pub struct Pauses {
    joins: Times,
    first_sends: Times,
    first_contacts: Times,
}

impl Pauses {
    /// Kills one controller after the other. Each time a new endpoint joins and sends, and one
    /// that was there before sends to somebody it has never sent to. The messages are probes, to
    /// one with the label.
    pub fn measure(controllers: &mut Controllers<'_>, to: &str) -> Self {
        let mut pauses = Self::default();
        for _ in 0..KILLS {
            pauses.measure_once(controllers, to);
            controllers.replace();
        }
        pauses
    }

    /// Fails if it took too long.
    pub fn assert(&self, median: Duration, worst: Duration) {
        for times in [&self.joins, &self.first_sends, &self.first_contacts] {
            assert!(times.median() <= median, "{times}");
            assert!(times.worst() <= worst, "{times}");
        }
    }

    fn measure_once(&mut self, controllers: &mut Controllers<'_>, to: &str) {
        let join = || {
            let options = controllers.bus.options(label!("probe"));
            let options = options.with_controller_affinity(false);
            ipmb::join::<BytesMessage, ()>(options, Some(DEADLINE)).expect("joins")
        };
        let probe = || Message::new(Selector::unicast(to), traffic::probe());
        let (witness, _receiver) = join();
        let start = controllers.kill();
        thread::scope(|scope| {
            let witness = scope.spawn(|| {
                witness.send(probe()).expect("makes contact");
                start.elapsed()
            });
            let (fresh, _receiver) = join();
            self.joins.0.push(start.elapsed());
            fresh.send(probe()).expect("sends");
            self.first_sends.0.push(start.elapsed());
            self.first_contacts
                .0
                .push(witness.join().expect("no panic"));
        });
    }
}

impl fmt::Display for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  until a new endpoint has joined  {}", self.joins)?;
        writeln!(f, "  until it has sent a message      {}", self.first_sends)?;
        write!(
            f,
            "  until another has made contact   {}",
            self.first_contacts
        )
    }
}

/// Times of one kind.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    /// The upper one of the two in the middle, if there are two.
    fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    fn worst(&self) -> Duration {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, worst) = (self.median(), self.worst());
        write!(f, "median {median:.1?}, worst {worst:.1?}")
    }
}

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
pub const PROBES: u64 = 3 * KILLS;
/// So many joins, one after the other, a failover is as long as: the survivors register again.
const TURNS: u32 = 10;
/// Nobody waits so long, however busy the machine is, if nothing is forgotten.
const WORST: Duration = Duration::from_secs(5);

/// How long things took, from the kill on.
#[derive(Default)]
pub struct Pauses {
    joins: Times,
    first_sends: Times,
    first_contacts: Times,
    /// A join and a first send while nobody is killed: what the machine takes for that just now.
    calm: Times,
}

impl Pauses {
    /// Kills one controller after the other. Each time a new endpoint joins and sends, and one
    /// that was there before sends to somebody it has never sent to. The messages are probes, to
    /// one with the label. Before each kill another one joins
    /// and sends.
    pub fn measure(controllers: &mut Controllers<'_>, to: &str) -> Self {
        let mut pauses = Self::default();
        for _ in 0..KILLS {
            pauses.measure_once(controllers, to);
            controllers.replace();
        }
        pauses
    }

    /// Fails if it took too long: the better half more than `goal` on top of what the machine takes
    /// anyway (it may be busy with other things, and then all of this takes several turns of its
    /// scheduler), or one of them so long that somebody must have waited for something that never
    /// came.
    pub fn assert(&self, goal: Duration) {
        let goal = goal + TURNS * self.calm.quantile(0.5);
        for times in [&self.joins, &self.first_sends, &self.first_contacts] {
            assert!(times.quantile(0.25) <= goal, "{self}\n({goal:?})");
            assert!(times.worst() <= WORST, "{self}");
        }
    }

    fn measure_once(&mut self, controllers: &mut Controllers<'_>, to: &str) {
        let join = || {
            let options = controllers.bus.options(label!("probe"));
            let options = options.with_controller_affinity(false);
            ipmb::join::<BytesMessage, ()>(options, Some(DEADLINE)).expect("joins")
        };
        let probe = || Message::new(Selector::unicast(to), traffic::probe());
        let start = Instant::now();
        join().0.send(probe()).expect("sends");
        self.calm.0.push(start.elapsed());
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
        writeln!(
            f,
            "  until another has made contact   {}",
            self.first_contacts
        )?;
        write!(f, "  a join and a send without a kill {}", self.calm)
    }
}

/// Times of one kind.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    /// The one below which such a part of them is.
    fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() as f64 * part) as usize]
    }

    fn worst(&self) -> Duration {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, worst) = (self.quantile(0.5), self.worst());
        write!(f, "median {median:.1?}, worst {worst:.1?}")
    }
}

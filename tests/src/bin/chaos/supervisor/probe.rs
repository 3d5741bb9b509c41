//! How long it takes, from a controller's death on, until somebody joins and sends a first message.

use ipmb::{EndpointReceiver, EndpointSender, Message, Selector, label};
use ipmb_tests::options;
use std::{
    fmt,
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What came of one death.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failover {
    pub(super) at: Instant,
    pub(super) joined: Duration,
    pub(super) sent: Duration,
    /// Nobody was stopped or killed meanwhile.
    pub(super) calm: bool,
}

/// Somebody who is always there, and a thread that joins and sends to it.
pub(super) struct Prober {
    home: JoinHandle<Result<u64, String>>,
    deaths: Sender<Instant>,
    probes: JoinHandle<Result<u64, String>>,
    pub(super) failovers: Receiver<Failover>,
}

/// What was sent arrives within this time, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(10);

impl Prober {
    /// Its endpoints are never the controller, so that they join when somebody else has.
    pub(super) fn start(directory: &Path) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let at = directory.to_owned();
        let home = thread::spawn(move || {
            let endpoint = join(&at, "home", false)?;
            let _ = ready.send(());
            Ok(count(&endpoint.1))
        });
        let (deaths, to_probe) = mpsc::channel();
        let (results, failovers) = mpsc::channel();
        let at = directory.to_owned();
        let probes = thread::spawn(move || {
            let _ = is_ready.recv();
            probe_all(&at, &to_probe, &results)
        });
        Self {
            home,
            deaths,
            probes,
            failovers,
        }
    }

    /// A controller is dead since then.
    pub(super) fn controller_died(&self, at: Instant) {
        let _ = self.deaths.send(at);
    }

    /// Ends, and leaves the bus, on which there is nobody else any more. All probes have to have
    /// arrived.
    pub(super) fn end(self, directory: &Path) -> Result<(), String> {
        let panicked = |_| "a thread of the prober panicked";
        let last = join(directory, "probe", true)?;
        drop(self.deaths);
        let probes = self.probes.join().map_err(panicked)??;
        send(&last.0, &probes.to_string())?;
        let arrived = self.home.join().map_err(panicked)??;
        match probes == arrived {
            true => Ok(()),
            false => Err(format!("{arrived} of {probes} probes arrived")),
        }
    }
}

fn join(
    directory: &Path,
    word: &str,
    affinity: bool,
) -> Result<(EndpointSender<String>, EndpointReceiver<String>), String> {
    let options = options(directory, label!(word)).with_controller_affinity(affinity);
    ipmb::join(options, None).map_err(|error| format!("the prober cannot join: {error}"))
}

fn send(sender: &EndpointSender<String>, text: &str) -> Result<(), String> {
    let message = Message::new(Selector::unicast("home"), text.to_owned());
    let sent = sender.send(message);
    sent.map_err(|error| format!("the prober cannot send: {error}"))
}

/// Counts the probes until it is told how many there were. What others have sent before may come later
/// than that, but it is there.
fn count(home: &EndpointReceiver<String>) -> u64 {
    let (mut count, mut all) = (0, None);
    while all != Some(count) {
        match home.recv(all.map(|_| PATIENCE)) {
            Ok(message) if message.payload == "probe" => count += 1,
            Ok(message) => all = message.payload.parse().ok(),
            Err(_) => break,
        }
    }
    count
}

fn probe_all(
    directory: &Path,
    deaths: &Receiver<Instant>,
    results: &Sender<Failover>,
) -> Result<u64, String> {
    let mut count = 0;
    while let Ok(at) = deaths.recv() {
        // Only the last of several: the others are late by now.
        let at = deaths.try_iter().last().unwrap_or(at);
        let (sender, _receiver) = join(directory, "probe", false)?;
        let joined = at.elapsed();
        send(&sender, "probe")?;
        count += 1;
        let failover = Failover {
            at,
            joined,
            sent: at.elapsed(),
            calm: true,
        };
        let _ = results.send(failover);
    }
    Ok(count)
}

/// Times of one kind.
pub(super) struct Times(Vec<Duration>);

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl Times {
    fn quantile(&self, per_mille: usize) -> Duration {
        let at = (self.0.len() * per_mille / 1000).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, ninety_nine, worst] = [500, 990, 1000].map(|at| self.quantile(at));
        let count = self.0.len();
        write!(
            f,
            "{count:>5} times: median {median:.1?}, 99 % {ninety_nine:.1?}, worst {worst:.1?}"
        )
    }
}

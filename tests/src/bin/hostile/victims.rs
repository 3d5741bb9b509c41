//! The honest members, as their supervisor sees them.

use crate::meter::{Longest, ticker};
use ipmb::{BytesMessage, Message, Selector, label};
use ipmb_tests::{Bus, DEADLINE, options};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

/// Name, whether it may be the controller, and its peers. The first one is the controller.
const MEMBERS: [(&str, &str, &str); 5] = [
    ("ctrl", "1", "beta"),
    ("alpha", "0", "beta,gamma"),
    ("beta", "0", "alpha,gamma"),
    ("gamma", "0", "beta,ctrl"),
    ("hermit", "0", "-"),
];

/// Between two visits.
const VISIT_EVERY: Duration = Duration::from_millis(10);

/// A whole bus of honest members.
pub struct Victims {
    bus: Bus,
    members: Vec<Member>,
    visits: Arc<Visits>,
    tick: Arc<Longest>,
}

/// One of them.
pub struct Member {
    /// Its label.
    pub name: &'static str,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    log: PathBuf,
}

/// Endpoints that come, send one message, and go.
#[derive(Default)]
struct Visits {
    longest: Longest,
    count: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

/// What a member says about itself.
pub type Report = HashMap<String, u64>;

/// What the kernel says about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weight {
    /// Open descriptors.
    pub descriptors: usize,
    /// Resident memory, in KiB.
    pub memory: u64,
    /// The most it has been since [`Member::forget_peak`].
    pub peak: u64,
}

impl Victims {
    /// Starts them, and waits until all are there.
    pub fn start(program: &Path) -> Self {
        let bus = Bus::new();
        let mut members: Vec<Member> = Vec::new();
        for (number, (name, affinity, peers)) in MEMBERS.into_iter().enumerate() {
            let number = number.to_string();
            let member = Member::start(program, &bus, name, [affinity, &number, peers]);
            member.expect("joined");
            members.push(member);
        }
        for member in &mut members {
            member.tell("go");
            member.expect("going");
        }
        let visits = Arc::new(Visits::default());
        thread::spawn({
            let (visits, directory) = (visits.clone(), bus.path());
            move || visit(&visits, &directory)
        });
        Self {
            bus,
            members,
            visits,
            tick: ticker(),
        }
    }

    /// The runtime directory.
    pub fn directory(&self) -> PathBuf {
        self.bus.path()
    }

    /// All members.
    pub fn members(&mut self) -> &mut [Member] {
        &mut self.members
    }

    /// Begins to measure anew.
    pub fn reset(&mut self) {
        for member in &mut self.members {
            member.tell("reset");
            member.expect("reset");
            member.forget_peak();
        }
        self.visits.longest.reset();
        self.visits.count.store(0, Relaxed);
        self.visits.failed.store(0, Relaxed);
        self.tick.reset();
    }

    /// How long the longest visit took, in microseconds; how many there were; how many failed.
    pub fn visits(&self) -> (u64, u64, u64) {
        let Visits {
            longest,
            count,
            failed,
            ..
        } = &*self.visits;
        (longest.micros(), count.load(Relaxed), failed.load(Relaxed))
    }

    /// How long the supervisor itself was kept from running, in microseconds.
    pub fn tick(&self) -> u64 {
        self.tick.micros()
    }

    /// Those that are not alive any more.
    pub fn dead(&mut self) -> Vec<String> {
        let dead = |member: &mut Member| match member.child.try_wait() {
            Ok(None) => None,
            other => Some(format!("{} has ended: {other:?}", member.name)),
        };
        self.members.iter_mut().filter_map(dead).collect()
    }
}

impl Drop for Victims {
    fn drop(&mut self) {
        self.visits.stop.store(true, Relaxed);
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

impl Member {
    fn start(program: &Path, bus: &Bus, name: &'static str, arguments: [&str; 3]) -> Self {
        let log = bus.path().with_extension(format!("{name}.log"));
        let mut child = Command::new(program)
            .arg("member")
            .arg(bus.path())
            .arg(name)
            .args(arguments)
            .env(
                crate::member::SECRET,
                bus.path().display().to_string().len().to_string(),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the member starts");
        let output = child.stdout.take().expect("a pipe");
        let (to, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take().expect("a pipe");
        Self {
            name,
            child,
            input,
            lines,
            log,
        }
    }

    fn tell(&mut self, line: &str) {
        // If it is dead, that is noticed elsewhere.
        let _ = writeln!(self.input, "{line}");
    }

    fn expect(&self, line: &str) {
        if let Ok(found) = self.lines.recv_timeout(DEADLINE) {
            assert_eq!(found, line);
        }
    }

    /// What it has seen since the last reset; empty if it does not answer.
    pub fn report(&mut self) -> Report {
        self.tell("report");
        let line = self.lines.recv_timeout(DEADLINE).unwrap_or_default();
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        pairs
            .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// What it weighs now.
    pub fn weight(&self) -> Weight {
        let pid = self.child.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0)
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
        Weight {
            descriptors: descriptors.map_or(0, Iterator::count),
            memory: value("VmRSS:"),
            peak: value("VmHWM:"),
        }
    }

    fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn visit(visits: &Visits, directory: &Path) {
    while !visits.stop.load(Relaxed) {
        let start = Instant::now();
        let options = options(directory, label!("visitor")).with_controller_affinity(false);
        let joined = ipmb::join::<BytesMessage, BytesMessage>(options, Some(DEADLINE / 3));
        let sent = joined
            .map_err(|error| error.to_string())
            .and_then(|(it, _receiver)| {
                let card = BytesMessage {
                    format: crate::member::NOISE,
                    data: Vec::new(),
                };
                it.send_timeout(Message::new(Selector::unicast("gamma"), card), DEADLINE / 3)
                    .map_err(|error| error.reason.to_string())
            });
        visits.longest.note(start.elapsed());
        visits.count.fetch_add(1, Relaxed);
        if let Err(error) = sent
            && !visits.stop.load(Relaxed)
        {
            eprintln!("a visit failed: {error}");
            visits.failed.fetch_add(1, Relaxed);
        }
        thread::sleep(VISIT_EVERY);
    }
}

//! What is said at the end, and on the way.

use super::{Failover, Request, actor::Actor, probe::Times};
use ipmb_tests::chaos::ledger::{Fault, Kind, Tally};
use std::{collections::BTreeMap, fmt, time::Duration};

/// So many faults of each kind are told with all that is known of them.
const TOLD: u64 = 4;
/// With so many it makes no sense to go on.
const HOPELESS: u64 = 1000;

pub(super) struct Report {
    request: Request,
    pub(super) tally: Tally,
    pub(super) rounds: u64,
    pub(super) starts: u64,
    pub(super) leaves: u64,
    pub(super) kills: u64,
    pub(super) controllers: u64,
    pub(super) stops: u64,
    /// How often this machine did not let the supervisor run.
    pub(super) pauses: u64,
    /// The most that anybody had when everything was quiet.
    pub(super) descriptors: usize,
    pub(super) failovers: Vec<Failover>,
    faults: BTreeMap<Kind, u64>,
}

impl Report {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            request: *request,
            tally: Tally::default(),
            rounds: 0,
            starts: 0,
            leaves: 0,
            kills: 0,
            controllers: 0,
            stops: 0,
            pauses: 0,
            descriptors: 0,
            failovers: Vec::new(),
            faults: BTreeMap::new(),
        }
    }

    /// Something is wrong.
    pub(super) fn blame(&mut self, fault: Fault, history: Option<String>) {
        let count = self.faults.entry(fault.kind).or_default();
        *count += 1;
        if *count <= TOLD {
            println!("FAULT {fault}\n{}", history.unwrap_or_default());
            println!("  again: {}", self.again());
        }
    }

    /// Ends a process, as it should end.
    pub(super) fn finish(&mut self, actor: Actor) {
        let process = actor.process;
        if !actor.finish() {
            let text = format!("process {} does not end, or not well", process.0);
            self.blame(Fault::said(Kind::Failed, text), None);
        }
    }

    pub(super) fn progress(&self, time: Duration) {
        println!(
            "{:>5} s: round {}, {} sent, {} delivered, {} kills, {} of the controller, {} faults",
            time.as_secs(),
            self.rounds,
            self.tally.sent,
            self.tally.delivered,
            self.kills,
            self.controllers,
            self.count(),
        );
    }

    /// Whether it makes no sense to go on.
    pub(super) fn is_hopeless(&self) -> bool {
        self.faults.contains_key(&Kind::Stuck) || self.count() > HOPELESS
    }

    pub(super) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn count(&self) -> u64 {
        self.faults.values().sum()
    }

    fn faults_of(&self, kinds: &[Kind]) -> u64 {
        kinds.iter().filter_map(|kind| self.faults.get(kind)).sum()
    }

    fn again(&self) -> String {
        let Request {
            seconds,
            seed,
            endpoints,
        } = self.request;
        format!("cargo xtask chaos --seconds {seconds} --seed {seed} --endpoints {endpoints}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.again())?;
        write!(f, "{}", self.tally)?;
        let mut line = |what: &str, count: u64| writeln!(f, "  {what:<46} {count:>12}");
        line("rounds", self.rounds)?;
        line("processes started", self.starts)?;
        line("leaves in the middle of a round", self.leaves)?;
        line("processes killed", self.kills)?;
        line("of them controllers", self.controllers)?;
        line("processes stopped for a while", self.stops)?;
        line("pauses of the whole machine", self.pauses)?;
        line(
            "descriptors of one endpoint at rest, at most",
            self.descriptors as u64,
        )?;
        line("lost", self.faults_of(&[Kind::Lost, Kind::NoReply]))?;
        line("twice", self.faults_of(&[Kind::Twice]))?;
        line("out of order", self.faults_of(&[Kind::OutOfOrder]))?;
        let astray = [
            Kind::WrongReceiver,
            Kind::NotTheFirst,
            Kind::Late,
            Kind::Refused,
            Kind::Unknown,
        ];
        line("to a wrong receiver", self.faults_of(&astray))?;
        line("damaged", self.faults_of(&[Kind::Damaged]))?;
        line("leaked", self.faults_of(&[Kind::Leaked]))?;
        let rest = [Kind::Failed, Kind::Stuck, Kind::NotGone];
        line("calls that failed or hung", self.faults_of(&rest))?;
        for (which, calm) in [("all", false), ("undisturbed", true)] {
            let of: Vec<_> = self
                .failovers
                .iter()
                .filter(|it| it.calm || !calm)
                .collect();
            let joined: Times = of.iter().map(|it| it.joined).collect();
            let sent: Times = of.iter().map(|it| it.sent).collect();
            writeln!(f, "  failovers, {which}, from the kill")?;
            writeln!(f, "    until a new endpoint had joined  {joined}")?;
            writeln!(f, "    until it had sent its first      {sent}")?;
        }
        match self.is_clean() {
            true => writeln!(f, "clean"),
            false => writeln!(f, "NOT CLEAN: {:?}", self.faults),
        }
    }
}

//! Starts, stops and kills the endpoint processes, and judges what they have written down.

mod actor;
mod calm;
mod clock;
mod probe;
mod report;
mod storm;

use super::{Request, leaks};
use actor::{Actor, Cast};
use ipmb_tests::{
    Bus,
    chaos::{
        dice::Dice,
        ledger::{Fault, Kind, Ledger},
        now,
        record::{Event, Process, Record},
    },
    proc::{self, Belongings},
};
use probe::{Failover, Prober};
use report::Report;
use std::time::{Duration, Instant};

/// All that is under way.
struct Supervisor {
    bus: Bus,
    cast: Cast,
    dice: Dice,
    actors: Vec<Actor>,
    /// Names that nobody has, and from when on somebody may.
    vacant: Vec<(u64, Instant)>,
    processes: u32,
    ledger: Ledger,
    prober: Prober,
    /// From when until when somebody was stopped, or when he was killed.
    disturbances: Vec<(Instant, Instant)>,
    report: Report,
}

/// Returns whether all was as it should be.
pub(super) fn run(request: &Request) -> bool {
    println!("chaos: {request:?}");
    let (bus, books) = (Bus::new(), tempfile::tempdir().expect("a directory"));
    // Of the prober's endpoints. With several seeds, of the first only.
    let _ = crate::log::start(&books.path().join("0"));
    let before = Belongings::of_this_process();
    let prober = Prober::start(&bus.path());
    let cast = Cast {
        directory: bus.path(),
        books: books.path().to_owned(),
        seed: request.seed,
        names: request.endpoints,
    };
    let mut supervisor = Supervisor {
        bus,
        cast,
        dice: Dice::of(request.seed, &[]),
        actors: Vec::new(),
        vacant: (0..request.endpoints)
            .map(|name| (name, Instant::now()))
            .collect(),
        processes: 0,
        ledger: Ledger::default(),
        prober,
        disturbances: Vec::new(),
        report: Report::new(request),
    };
    supervisor.run(request.duration());
    let mut report = supervisor.end();
    let left = before.what_is_new();
    if left != "nothing" {
        report.blame(
            Fault::said(Kind::Leaked, format!("the supervisor: {left}")),
            None,
        );
    }
    print!("{report}");
    report.is_clean()
}

impl Supervisor {
    fn run(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time && !self.report.is_hopeless() {
            let left = time.saturating_sub(start.elapsed());
            let round = self.dice.micros(4_000_000..=12_000_000).min(left);
            self.storm(round);
            self.calm();
            self.report.progress(start.elapsed());
        }
    }

    /// Ends everything, in good order and then not.
    fn end(mut self) -> Report {
        if !self.report.is_hopeless() {
            self.everybody_leaves();
        }
        let Self {
            bus,
            cast,
            actors,
            prober,
            mut report,
            ..
        } = self;
        let files = proc::memory_files(actors.iter().map(Actor::pid));
        drop(actors);
        if !report.is_hopeless() {
            if let Err(error) = prober.end(&bus.path()) {
                report.blame(Fault::said(Kind::Lost, error), None);
                keep_logs(&cast, report.rounds);
            }
            for fault in leaks::look_behind(&bus.path(), &files) {
                report.blame(fault, None);
            }
        }
        report
    }

    fn start(&mut self, name: u64) {
        self.processes += 1;
        let process = Process(self.processes);
        self.actors.push(Actor::start(&self.cast, name, process));
        self.report.starts += 1;
    }

    /// Hears what everybody has to say.
    fn hear(&mut self) {
        for actor in &mut self.actors {
            for fault in actor.hear() {
                self.report.blame(fault, None);
            }
        }
        for mut failover in self.prober.failovers.try_iter() {
            let end = failover.at + failover.sent;
            let mut others = self.disturbances.iter();
            failover.calm = !others.any(|(from, to)| *from < end && *to > failover.at);
            self.report.failovers.push(failover);
        }
    }

    /// Takes note of something that we do.
    fn note(&mut self, event: Event) {
        self.ledger.add(Record { time: now(), event });
    }

    /// Takes over what somebody has written down.
    fn read(ledger: &mut Ledger, actor: &mut Actor) {
        let news = actor.reader.news().expect("the book can be read");
        news.into_iter().for_each(|record| ledger.add(record));
    }
}

/// The logs, as far as they have come: they end with this program.
fn keep_logs(cast: &Cast, round: u64) {
    let name = format!("chaos-seed-{}-round-{round}.log", cast.seed);
    match crate::log::gather(&cast.books, &name) {
        Ok(place) => println!("  what they have logged: {}", place.display()),
        Err(error) => println!("  what they have logged cannot be kept: {error}"),
    }
}

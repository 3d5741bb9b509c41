//! Starts everybody, kills some now and then, takes samples, and judges.

use super::{
    clock::{Clock, TICK},
    member::MEMBERS,
    options::Options,
    plot,
    verdict::{self, Samples},
};
use ipmb_tests::{Bus, Peer, scale::Usage};
use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Who says nothing for so long, pauses not counted, hangs.
const PATIENCE: Duration = Duration::from_secs(120);

struct Soak<'a> {
    bus: &'a Bus,
    clock: Clock,
    /// The first of them is the controller, the second will be the next.
    controllers: [Peer; 2],
    victim: Peer,
    members: Vec<Peer>,
    samples: Samples,
    victims: u64,
    failovers: u64,
}

/// Runs a soak, prints what came of it, and writes the plot.
pub(super) fn run(options: &Options) -> ExitCode {
    let bus = Bus::new();
    let mut soak = Soak::start(&bus);
    soak.go_on_for(options.time);
    let messages = soak.finish();
    let Soak {
        clock,
        samples,
        victims,
        failovers,
        ..
    } = &soak;
    println!(
        "{} s, {MEMBERS} members; {messages} messages, each once and in order; {victims} victims and {failovers} \
         controllers killed",
        clock.passed().as_secs()
    );
    println!(
        "{} samples; {} pauses (of {} s together) left out\n",
        samples.len(),
        clock.pauses(),
        clock.paused().as_secs()
    );
    let verdict = verdict::judge(samples);
    print!("{verdict}");
    if let Some(path) = &options.plot {
        let written = fs::write(path, plot::draw(samples, &verdict));
        match written {
            Ok(()) => println!("\nplot: {}", path.display()),
            Err(error) => {
                eprintln!("soak: {} cannot be written: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    match verdict.is_flat() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

impl<'a> Soak<'a> {
    fn start(bus: &'a Bus) -> Self {
        let clock = Clock::start();
        let controllers = [candidate(bus), candidate(bus)];
        let member = |index: u64| soak(bus, "member", &[&index.to_string()]);
        let mut soak = Self {
            clock,
            controllers,
            victim: soak(bus, "victim", &[]),
            members: (0..MEMBERS).map(member).collect(),
            samples: Samples::default(),
            victims: 0,
            failovers: 0,
            bus,
        };
        soak.all_members("begin");
        soak
    }

    fn go_on_for(&mut self, time: Duration) {
        let every = |part: u32, least: u64| (time / part).max(Duration::from_millis(least));
        let (sample, victim, failover) = (every(600, 250), every(150, 2000), every(12, 6000));
        let (mut next_sample, mut next_victim, mut next_failover) = (sample, victim, failover);
        let start = Instant::now();
        // However long the pauses are, it ends.
        while self.clock.passed() < time && start.elapsed() < time + time / 2 {
            std::thread::sleep(TICK);
            self.clock.tick();
            let now = self.clock.passed();
            if now >= next_sample {
                next_sample = now + sample;
                self.sample();
            }
            if now >= next_victim {
                next_victim = now + victim;
                self.replace_victim();
            }
            if now >= next_failover {
                next_failover = now + failover;
                self.replace_controller();
            }
        }
    }

    fn sample(&mut self) {
        let pauses = self.clock.pauses();
        let reports = self.all_members("report");
        let usages = self.members.iter().map(|it| Usage::of(it.pid())).collect();
        let controller = (self.failovers, Usage::of(self.controllers[0].pid()));
        self.clock.tick();
        // What a pause falls into says nothing.
        if self.samples.pauses == self.clock.pauses() && pauses == self.clock.pauses() {
            let now = self.clock.passed().as_secs_f64();
            self.samples.add(now, usages, controller, &reports);
        }
        self.samples.pauses = self.clock.pauses();
    }

    fn replace_victim(&mut self) {
        self.victim.kill();
        self.victim = soak(self.bus, "victim", &[]);
        self.victims += 1;
    }

    fn replace_controller(&mut self) {
        self.controllers[0].kill();
        self.controllers.swap(0, 1);
        self.controllers[1] = candidate(self.bus);
        self.failovers += 1;
    }

    /// Everybody stops, and has to have got everything. Returns how many messages that were.
    fn finish(&mut self) -> u64 {
        let sent = self.all_members("stop");
        let numbers = |line: &String| -> Vec<u64> {
            let numbers = line.split(' ').map(str::parse);
            numbers.map(|it| it.expect("a number")).collect()
        };
        let sent: Vec<Vec<u64>> = sent.iter().map(numbers).collect();
        for (index, member) in self.members.iter_mut().enumerate() {
            let from_each: Vec<String> = sent.iter().map(|it| it[index].to_string()).collect();
            member.tell(&format!("await {}", from_each.join(" ")));
        }
        for index in 0..self.members.len() {
            assert_eq!(self.line(index), "complete");
        }
        self.members.drain(..).for_each(Peer::finish);
        sent.iter().flatten().sum()
    }

    fn all_members(&mut self, line: &str) -> Vec<String> {
        self.members.iter_mut().for_each(|it| it.tell(line));
        (0..self.members.len()).map(|it| self.line(it)).collect()
    }

    /// The next line of a member.
    fn line(&mut self, index: usize) -> String {
        let start = self.clock.passed();
        loop {
            let line = self.members[index].line_within(TICK);
            self.clock.tick();
            match line {
                Ok(Some(line)) => return line,
                Ok(None) if self.clock.passed() - start < PATIENCE => {}
                Ok(None) => panic!("member {index} hangs"),
                Err(error) => panic!("member {index}: {error}"),
            }
        }
    }
}

fn candidate(bus: &Bus) -> Peer {
    ready(bus.peer("candidate", &[]))
}

fn soak(bus: &Bus, role: &str, arguments: &[&str]) -> Peer {
    ready(Peer::start_program("soak", role, &bus.path(), arguments))
}

/// Waits until it has joined, however long we are stopped meanwhile.
fn ready(peer: Peer) -> Peer {
    let mut clock = Clock::start();
    while clock.passed() < PATIENCE {
        match peer.line_within(TICK) {
            Ok(Some(line)) => {
                assert_eq!(line, "joined");
                return peer;
            }
            Ok(None) => clock.tick(),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{} does not join", peer.pid());
}

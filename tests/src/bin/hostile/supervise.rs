//! Has one attacker after the other loose on honest members, and judges what comes of it.

use crate::{
    attack::{ATTACKS, Attack, NOBODY},
    table::{Row, Table},
    victims::{Report, Victims, Weight},
};
use ipmb_tests::DEADLINE;
use std::{
    collections::{BTreeSet, VecDeque},
    io::Read,
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

/// No bystander may wait longer, beyond what the machine itself makes everybody wait. In
/// microseconds.
const LONGEST_STALL: u64 = 100_000;
/// Nor may a newcomer: it has to deal with the controller, which is busy with the attacker.
const LONGEST_JOIN: u64 = 2_000_000;
/// An attack that seems to do harm is tried so often: it counts if it does so each time. (A machine
/// that stands still for a while does harm, too.)
const TRIES: usize = 3;
/// And so often if the machine keeps threads from running for so long, in microseconds.
const TRIES_WHEN_BUSY: usize = 8;
const BUSY: u64 = 20_000;
/// So many times without an attack count.
const CALM: usize = 5;
/// What a member may keep after an attack: descriptors, and memory (in KiB) that the allocator has not
/// given back.
const KEPT_DESCRIPTORS: usize = 4;
const KEPT_MEMORY: u64 = 48 << 10;

/// Between two looks at the members.
const LOOK: Duration = Duration::from_millis(5);

/// What is to be done.
#[derive(Clone)]
pub struct Orders {
    milliseconds: u64,
    seed: u64,
    only: Option<String>,
    member: Option<PathBuf>,
    list: bool,
}

impl Orders {
    pub fn parse(words: &[&str]) -> Option<Self> {
        let mut orders = Self {
            milliseconds: 1000,
            seed: 1,
            only: None,
            member: None,
            list: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--long" => orders.milliseconds *= 10,
                "--list" => orders.list = true,
                "--seconds" => orders.milliseconds = 1000 * words.next()?.parse::<u64>().ok()?,
                "--seed" => orders.seed = words.next()?.parse().ok()?,
                "--only" => orders.only = Some((*words.next()?).to_owned()),
                "--member" => orders.member = Some(words.next()?.into()),
                _ => return None,
            }
        }
        Some(orders)
    }
}

pub fn run(orders: &Orders) -> ExitCode {
    let chosen =
        |attack: &&Attack| (orders.only.as_ref()).is_none_or(|it| attack.name.contains(it));
    let attacks: Vec<&Attack> = ATTACKS.iter().filter(chosen).collect();
    if orders.list {
        attacks.iter().for_each(|it| println!("{}", it.name));
        return ExitCode::SUCCESS;
    }
    let own = std::env::current_exe().expect("it knows where it is");
    let program = orders.member.clone().unwrap_or(own);
    println!(
        "seed {}, {} ms for each attack, members: {}",
        orders.seed,
        orders.milliseconds,
        program.display()
    );
    let mut victims = Victims::start(&program);
    let mut table = Table::new();
    let mut calm = VecDeque::new();
    for attack in attacks {
        let mut tries = 0;
        let row = loop {
            // How long the same members wait when nobody attacks them, on this machine, of late.
            calm.push_back(measure(&mut victims, &NOBODY, orders, 0).longest());
            if calm.len() > CALM {
                calm.pop_front();
            }
            let quiet = calm.iter().copied().max().unwrap_or(0);
            // On a busy machine it may take longer until something comes of it.
            let longer = Orders {
                milliseconds: orders.milliseconds * (1 + tries as u64),
                ..orders.clone()
            };
            let row = measure(&mut victims, attack, &longer, quiet);
            tries += 1;
            let most = match row.tick > BUSY {
                true => TRIES_WHEN_BUSY,
                false => TRIES,
            };
            if row.is_good() || !row.is_alive() || tries >= most {
                break row;
            }
        };
        table.add(&row);
        if !row.is_alive() {
            victims = Victims::start(&program);
        }
    }
    table.finish()
}

/// One attack, from the quiet before to the quiet after it.
fn measure(victims: &mut Victims, attack: &Attack, orders: &Orders, quiet: u64) -> Row {
    let logs: Vec<usize> = victims.members().iter().map(|it| it.log().len()).collect();
    victims.reset();
    let before: Vec<Weight> = victims.members().iter().map(|it| it.weight()).collect();
    let mut attacker = Attacker::start(victims, attack, orders);
    let mut peaks = before.clone();
    while !attacker.has_ended() && victims.dead().is_empty() {
        watch(victims, &mut peaks);
        thread::sleep(LOOK);
    }
    let (confession, hung) = attacker.finish();
    let reports: Vec<Report> = victims.members().iter_mut().map(|it| it.report()).collect();
    let after = settled(victims, &before);
    let mut row = Row::new(attack);
    row.quiet = quiet;
    row.confess(&confession, hung);
    row.visits = victims.visits();
    row.tick = victims.tick();
    let dead = victims.dead();
    for (index, member) in victims.members().iter().enumerate() {
        let log = member.log();
        let new = log.get(logs[index]..).unwrap_or_default();
        row.read_log(member.name, new);
        let mut weights = [before[index], peaks[index], after[index]];
        weights[1].memory = after[index].peak;
        row.weigh(member.name, weights);
        row.hear(member.name, &reports[index]);
    }
    row.problems.extend(dead);
    row.judge(
        (LONGEST_STALL, LONGEST_JOIN),
        (KEPT_DESCRIPTORS, KEPT_MEMORY),
    );
    row
}

fn watch(victims: &mut Victims, peaks: &mut [Weight]) {
    for (member, peak) in victims.members().iter().zip(peaks) {
        peak.descriptors = peak.descriptors.max(member.weight().descriptors);
    }
}

/// What they weigh when what was the attacker's is gone.
fn settled(victims: &mut Victims, before: &[Weight]) -> Vec<Weight> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let now: Vec<Weight> = victims.members().iter().map(|it| it.weight()).collect();
        let mut both = now.iter().zip(before);
        let clean = both.all(|(now, before)| {
            now.descriptors <= before.descriptors + KEPT_DESCRIPTORS
                && now.memory <= before.memory + KEPT_MEMORY
        });
        if clean || Instant::now() > end {
            return now;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The process that attacks.
struct Attacker {
    child: Child,
    /// So often it may still be found alive. Counted, as time goes on for who is stopped.
    patience: u64,
}

impl Attacker {
    fn start(victims: &Victims, attack: &Attack, orders: &Orders) -> Self {
        let own = std::env::current_exe().expect("it knows where it is");
        let child = Command::new(own)
            .args(["attack".as_ref(), victims.directory().as_os_str()])
            .args([attack.name, &orders.seed.to_string()])
            .arg(match attack.name == NOBODY.name {
                true => (orders.milliseconds / 3).to_string(),
                false => orders.milliseconds.to_string(),
            })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the attacker starts");
        Self {
            child,
            patience: (orders.milliseconds + DEADLINE.as_millis() as u64) / LOOK.as_millis() as u64,
        }
    }

    fn has_ended(&mut self) -> bool {
        self.patience = self.patience.saturating_sub(1);
        !matches!(self.child.try_wait(), Ok(None)) || self.patience == 0
    }

    /// What it has said; and whether it had to be killed.
    fn finish(mut self) -> (Confession, bool) {
        let hung = matches!(self.child.try_wait(), Ok(None));
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut text = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            let _ = output.read_to_string(&mut text);
        }
        let mut confession = Confession::default();
        confession.pids.insert(self.child.id());
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("tried", count)) => confession.tried += count.parse().unwrap_or(0),
                Some(("refused", count)) => confession.refused += count.parse().unwrap_or(0),
                Some(("pid", pid)) => confession.pids.extend(pid.parse::<u32>()),
                _ => confession.problems.push(line.to_owned()),
            }
        }
        (confession, hung)
    }
}

/// What an attacker says about itself.
#[derive(Default)]
pub struct Confession {
    pub tried: u64,
    pub refused: u64,
    pub pids: BTreeSet<u32>,
    pub problems: Vec<String>,
}

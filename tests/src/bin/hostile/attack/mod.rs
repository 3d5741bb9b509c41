//! The attacks. Each is a function that goes on until its time is over, and counts what it tries.

mod bells;
mod control;
mod joins;
mod lanes;
mod loans;
mod memory;
mod parking;
mod regions;
mod scribble;
mod side;
mod strangers;
mod words;

use crate::say;
use ipmb::{BytesMessage, TypeUuid};
use ipmb_core::{MessageHeader, TypeId};
use ipmb_tests::raw::{Dice, Failure, Pair, Raw};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// So often one member may ask for a new introduction to the same peer, and a bit less.
const INTRODUCTIONS: u32 = 7;

/// What an honest member is to see of an attack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It cuts the attacker off, and says so in the log, with the process.
    CutOff,
    /// The attacker is told no.
    Refused,
    /// Nothing that it would have to notice, or one of the others.
    Any,
}

/// An attack.
pub struct Attack {
    pub name: &'static str,
    /// The member that it is meant for.
    pub target: &'static str,
    pub outcome: Outcome,
    /// How much more any member may hold meanwhile: descriptors, and memory in KiB.
    pub quota: (usize, u64),
    run: fn(&mut Scene) -> Result<(), Failure>,
}

/// Where an attack takes place.
pub struct Scene {
    pub directory: PathBuf,
    pub target: &'static str,
    pub dice: Dice,
    pub tried: u64,
    pub refused: u64,
    end: Instant,
    ids: u64,
}

const MIB: u64 = 1 << 10;
/// What the regions of one sender may take: a quarter of the descriptors that there may be.
const QUARTER: (usize, u64) = (usize::MAX, 64 * MIB);
/// What a message may take (4096 objects, and a packet more) while of each of several others one packet has come.
const SEVERAL: (usize, u64) = (4096 + 40 * 253, 32 * MIB);

const fn attack(
    name: &'static str,
    target: &'static str,
    outcome: Outcome,
    quota: (usize, u64),
    run: fn(&mut Scene) -> Result<(), Failure>,
) -> Attack {
    Attack {
        name,
        target,
        outcome,
        quota,
        run,
    }
}

/// All of them.
pub const ATTACKS: &[Attack] = {
    use Outcome::{Any, CutOff, Refused};
    &[
        attack(
            "lane: every byte of the header",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::header,
        ),
        attack(
            "lane: random bytes while it is used",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::random,
        ),
        attack(
            "lane: forged lengths and positions",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::forged,
        ),
        attack(
            "lane: forged envelopes",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::envelopes,
        ),
        attack(
            "lane: fragments that never end",
            "alpha",
            CutOff,
            (200, 64 * MIB),
            lanes::fragments,
        ),
        attack(
            "lane: a flood behind the last straw",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::flood,
        ),
        attack(
            "lane: types that nobody knows",
            "hermit",
            Any,
            (200, 32 * MIB),
            lanes::unknown,
        ),
        attack(
            "lane: forged replies",
            "hermit",
            Any,
            (200, 32 * MIB),
            lanes::replies,
        ),
        attack(
            "lane: parked messages of others",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            lanes::parked,
        ),
        attack(
            "memory: lanes that are none",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            memory::lanes,
        ),
        attack(
            "memory: truncated while it is used",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            memory::truncated,
        ),
        attack(
            "memory: what belongs to others",
            "alpha",
            Refused,
            (200, 32 * MIB),
            memory::others,
        ),
        attack(
            "memory: every byte of the ready set",
            "alpha",
            Any,
            (200, 32 * MIB),
            memory::ready,
        ),
        attack(
            "memory: the beacon raised",
            "alpha",
            Any,
            (200, 32 * MIB),
            memory::beacon,
        ),
        attack(
            "member: scribbles over all it has mapped",
            "alpha",
            Any,
            (200, 64 * MIB),
            scribble::run,
        ),
        attack(
            "region: forged ids, cells and sizes",
            "alpha",
            Any,
            (400, 32 * MIB),
            regions::forged,
        ),
        attack(
            "region: thousands that stay",
            "alpha",
            Any,
            QUARTER,
            regions::many,
        ),
        attack(
            "loan: forged and of others",
            "alpha",
            CutOff,
            (200, 32 * MIB),
            loans::forged,
        ),
        attack(
            "loan: segments by the thousand",
            "alpha",
            Any,
            (200, 64 * MIB),
            loans::segments,
        ),
        attack(
            "side channel: garbage",
            "alpha",
            CutOff,
            (400, 32 * MIB),
            side::garbage,
        ),
        attack(
            "side channel: objects of nobody",
            "alpha",
            CutOff,
            SEVERAL,
            side::nobody,
        ),
        attack(
            "side channel: objects without end",
            "alpha",
            CutOff,
            SEVERAL,
            side::endless,
        ),
        attack(
            "side channel: lanes by the thousand",
            "alpha",
            Any,
            (400, 64 * MIB),
            side::lanes,
        ),
        attack(
            "doorbell: that is none",
            "alpha",
            Any,
            (200, 32 * MIB),
            bells::none,
        ),
        attack(
            "doorbell: full and blocking",
            "alpha",
            Any,
            (200, 32 * MIB),
            bells::full,
        ),
        attack(
            "doorbell: rings stolen",
            "alpha",
            Any,
            (200, 32 * MIB),
            bells::stolen,
        ),
        attack(
            "control: every bit of real messages",
            "ctrl",
            CutOff,
            (400, 32 * MIB),
            control::bits,
        ),
        attack(
            "control: a message that never ends",
            "ctrl",
            CutOff,
            (1200, 32 * MIB),
            control::endless,
        ),
        attack(
            "control: does not listen",
            "ctrl",
            CutOff,
            QUARTER,
            control::deaf,
        ),
        attack(
            "control: ids of others",
            "ctrl",
            Refused,
            (200, 32 * MIB),
            control::ids,
        ),
        attack(
            "control: introductions without end",
            "ctrl",
            CutOff,
            QUARTER,
            joins::introductions,
        ),
        attack(
            "control: joins and leaves",
            "ctrl",
            Any,
            (400, 32 * MIB),
            joins::joins,
        ),
        attack(
            "control: members by the thousand",
            "ctrl",
            Any,
            QUARTER,
            joins::members,
        ),
        attack(
            "control: labels as large as may be",
            "ctrl",
            Any,
            (400, 128 * MIB),
            joins::labels,
        ),
        attack(
            "control: the word that somebody serves taken",
            "ctrl",
            Any,
            (200, 32 * MIB),
            joins::mark,
        ),
        attack(
            "parking: 100,000 messages",
            "ctrl",
            Refused,
            (400, 160 * MIB),
            parking::many,
        ),
        attack(
            "parking: selectors as large as may be",
            "ctrl",
            Any,
            (400, 160 * MIB),
            parking::selectors,
        ),
        attack(
            "parking: in the way of a newcomer",
            "ctrl",
            Any,
            (400, 160 * MIB),
            parking::newcomer,
        ),
        attack(
            "stranger: every prefix of a handshake",
            "ctrl",
            Any,
            (200, 16 * MIB),
            strangers::prefixes,
        ),
        attack(
            "stranger: every bit of a handshake",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::bits,
        ),
        attack(
            "stranger: descriptors with a handshake",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::objects,
        ),
        attack(
            "stranger: 10,000 connections in silence",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::silent,
        ),
        attack(
            "stranger: byte by byte",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::slow,
        ),
        attack(
            "stranger: challenges replayed",
            "ctrl",
            CutOff,
            (200, 16 * MIB),
            strangers::replayed,
        ),
        attack(
            "stranger: the wrong token",
            "ctrl",
            Refused,
            (200, 16 * MIB),
            strangers::token,
        ),
        attack(
            "stranger: squats on a name",
            "ctrl",
            Refused,
            (200, 16 * MIB),
            strangers::squatter,
        ),
    ]
};

/// What the members are measured with for comparison: a process that is busy, and attacks nobody.
pub const NOBODY: Attack = attack("(nobody)", "", Outcome::Any, (64, 32 * MIB), |scene| {
    while scene.goes_on() {
        std::hint::spin_loop();
    }
    Ok(())
});

/// Plays the attacker.
pub fn run(directory: &Path, name: &str, seed: u64, milliseconds: u64) {
    let attack = ATTACKS.iter().find(|it| it.name == name);
    let attack = attack.unwrap_or(&NOBODY);
    more_descriptors();
    let mut scene = Scene {
        directory: directory.to_owned(),
        target: attack.target,
        dice: Dice::new(seed ^ name.len() as u64),
        tried: 0,
        refused: 0,
        end: Instant::now() + Duration::from_millis(milliseconds),
        ids: Dice::new(seed ^ u64::from(std::process::id()) << 32).roll(),
    };
    if let Err(error) = (attack.run)(&mut scene) {
        say(format_args!("the attacker gave up: {error}"));
    }
    say(format_args!("tried {}", scene.tried));
    say(format_args!("refused {}", scene.refused));
}

impl Scene {
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// A fresh member.
    pub fn join(&mut self) -> Result<Raw, Failure> {
        self.join_as("attacker")
    }

    /// A fresh member with that label.
    pub fn join_as(&mut self, label: &str) -> Result<Raw, Failure> {
        let id = self.fresh_id();
        Raw::join(&self.directory, label, id)
    }

    pub fn fresh_id(&mut self) -> u64 {
        self.ids = self.ids.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.ids
    }

    /// Tries something with a fresh introduction each time, until time is over. What it returns is
    /// kept until the introduction after the next: who hangs up at once is not looked at.
    pub fn each_pair<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self, &mut Pair, u64) -> Result<T, Failure>,
    ) -> Result<(), Failure> {
        while self.goes_on() {
            let mut raw = self.join()?;
            let target = raw.find(self.target)?;
            for round in 0..INTRODUCTIONS {
                if !self.goes_on() {
                    break;
                }
                let mut pair = raw.meet(target, round > 0)?;
                let number = self.tried;
                self.tried += 1;
                // An error is that we were cut off in the middle.
                let kept = attempt(self, &mut pair, number);
                pair.ring();
                patiently(|| pair.is_cut_off());
                drop(kept);
            }
        }
        Ok(())
    }
}

/// Waits a moment for something that need not happen.
pub fn patiently(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_millis(2);
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// A message that honest members take and do not look at.
pub fn noise(len: usize) -> Vec<u8> {
    let payload = BytesMessage {
        format: crate::member::NOISE | 1,
        data: vec![7; len],
    };
    let mut frame = MessageHeader::encode_fixed(bytes_message()).to_vec();
    frame.extend(ipmb::encode(&payload).unwrap_or_default());
    frame
}

/// Its type.
pub fn bytes_message() -> TypeId {
    <BytesMessage as TypeUuid>::UUID
}

/// All that the system allows: an attacker does not run out first.
fn more_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    // With fewer it attacks less.
    let _ = setrlimit(Resource::Nofile, all);
}

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
mod table;
mod words;

pub use table::{ATTACKS, NOBODY};

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

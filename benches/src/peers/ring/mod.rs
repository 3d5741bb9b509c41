//! The floor: a bare ring in shared memory. No bus, no types, no checks of the other side.

mod lane;
mod mapping;

use super::{Peer, Seat, handover::meet};
use crate::{
    Result,
    message::{Checker, Phase},
    work::Task,
};
use lane::{Reader, Readers, Writer};
use rustix::{
    event::{EventfdFlags, eventfd},
    io::dup,
};
use std::{os::fd::OwnedFd, thread};

/// Hands out a copy in a buffer that it reuses. Both sides spin.
pub(crate) struct Ring(Ends<false>, Vec<u8>);

/// Hands out an owned `Vec`. Both sides spin.
pub(crate) struct RingVec(Ends<false>);

/// Takes an owned `Vec` too, as an interface of owned payloads does. Both sides spin.
pub(crate) struct RingVecs(Ends<false>);

/// As `RingVec`, with a reader that sleeps, and a writer that wakes it.
pub(crate) struct RingEventfd(Ends<true>);

/// A ring each way, to and from each process of the other role.
struct Ends<const SLEEPS: bool> {
    readers: Readers<SLEEPS>,
    writers: Vec<Writer<SLEEPS>>,
}

impl<const SLEEPS: bool> Ends<SLEEPS> {
    fn connect(seat: &Seat) -> Result<Self> {
        let own_bell = bell()?;
        let ways = meet(seat, || {
            let own = [memory()?, dup(&own_bell)?, memory()?, bell()?];
            let others = [dup(&own[2])?, dup(&own[3])?, dup(&own[0])?, dup(&own[1])?];
            Ok((own, others))
        })?;
        let mut readers = Vec::new();
        let mut writers = Vec::new();
        let mut bell = own_bell;
        for [in_memory, in_bell, out_memory, out_bell] in ways {
            readers.push(Reader::new(&in_memory)?);
            writers.push(Writer::new(&out_memory, out_bell)?);
            // A sender's is that of its only receiver, if it ever reads.
            bell = in_bell;
        }
        let readers = Readers::new(readers, bell);
        Ok(Self { readers, writers })
    }

    fn write(&mut self, message: &[u8]) -> Result<()> {
        let mut writers = self.writers.iter_mut();
        writers.try_for_each(|it| it.write(message))
    }

    fn echo(&mut self, checker: &mut Checker, message: &mut Vec<u8>) -> Result<Phase> {
        self.readers.next()?.read(message);
        let phase = checker.check(message)?;
        self.write(message)?;
        Ok(phase)
    }
}

/// One that spins takes the core from one that works.
fn refuses_to_share(task: &Task) -> Option<&'static str> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (task.processes() > cores).then_some("it spins, and there are more processes than cores")
}

fn memory() -> Result<OwnedFd> {
    Ok(mapping::create()?)
}

fn bell() -> Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC)?)
}

impl Peer for Ring {
    const NAME: &'static str = "ring";
    const ABOUT: &'static str =
        "floor: bare shared-memory ring that spins; a copy in a reused buffer";

    type Received<'a> = &'a [u8];

    fn refuses(task: &Task) -> Option<&'static str> {
        refuses_to_share(task)
    }

    fn connect(seat: &Seat) -> Result<Self> {
        Ok(Self(Ends::connect(seat)?, Vec::new()))
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.0.write(message)
    }

    fn receive(&mut self) -> Result<&[u8]> {
        self.0.readers.next()?.read(&mut self.1);
        Ok(&self.1)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        self.0.echo(checker, &mut self.1)
    }
}

impl Peer for RingVec {
    const NAME: &'static str = "ring+vec";
    const ABOUT: &'static str = "floor: the same, handing out an owned Vec";

    type Received<'a> = Vec<u8>;

    fn refuses(task: &Task) -> Option<&'static str> {
        refuses_to_share(task)
    }

    fn connect(seat: &Seat) -> Result<Self> {
        Ok(Self(Ends::connect(seat)?))
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.0.write(message)
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        Ok(self.0.readers.next()?.read_owned())
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        self.0.echo(checker, &mut Vec::new())
    }
}

impl Peer for RingVecs {
    const NAME: &'static str = "ring+vecs";
    const ABOUT: &'static str = "floor: the same, sending an owned Vec too";

    type Received<'a> = Vec<u8>;

    fn refuses(task: &Task) -> Option<&'static str> {
        refuses_to_share(task)
    }

    fn connect(seat: &Seat) -> Result<Self> {
        Ok(Self(Ends::connect(seat)?))
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        // Not one that the compiler can do without.
        let owned = std::hint::black_box(message.to_vec());
        self.0.write(&owned)
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        Ok(self.0.readers.next()?.read_owned())
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        self.0.echo(checker, &mut Vec::new())
    }
}

impl Peer for RingEventfd {
    const NAME: &'static str = "ring+eventfd";
    const ABOUT: &'static str =
        "floor: owned Vec out; the reader spins for 20 µs, then sleeps on an eventfd";

    type Received<'a> = Vec<u8>;

    fn connect(seat: &Seat) -> Result<Self> {
        Ok(Self(Ends::connect(seat)?))
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.0.write(message)
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        Ok(self.0.readers.next()?.read_owned())
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        self.0.echo(checker, &mut Vec::new())
    }
}

//! The systems, a file each, behind one small trait.

mod eventfd;
mod handover;
mod ipmb;
mod ipmb08;
mod pipe;
mod ring;
mod seqpacket;

use crate::{
    Result,
    message::{Checker, Phase},
    work::{self, Figures, Task},
};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
};

/// The name of the one that the others are compared with.
pub(crate) const OURS: &str = <ipmb::Ipmb as Peer>::NAME;

/// A system, and one process's end of a connection through it.
pub(crate) trait Peer: Sized {
    /// Its name, on the command line too.
    const NAME: &'static str;
    /// What it is, in a line.
    const ABOUT: &'static str;

    /// What a message is when it has come: something owned, if its interface gives that.
    type Received<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// Why it cannot do something.
    fn refuses(_task: &Task) -> Option<&'static str> {
        None
    }

    /// Meets the other process.
    fn connect(seat: &Seat) -> Result<Self>;

    /// Sends to the other. Where its interface takes something owned, that is made here.
    fn send(&mut self, message: &[u8]) -> Result<()>;

    /// Waits for a message from the other.
    fn receive(&mut self) -> Result<Self::Received<'_>>;

    /// Waits for a message, and sends it back.
    fn echo(&mut self, checker: &mut Checker) -> Result<Phase>;
}

/// Where one of the two processes of a measurement sits.
pub(crate) struct Seat {
    pub role: Role,
    /// Of the two alone. Empty at first.
    pub directory: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Receives, or sends back.
    First,
    /// Sends, or asks. It is started when the first is ready.
    Second,
}

impl Seat {
    /// Tells that the second can come. Every `connect` calls it, at once or after it has made
    /// what the second is to find.
    pub(crate) fn ready(&self) -> io::Result<()> {
        let mut output = io::stdout().lock();
        writeln!(output, "ready")?;
        output.flush()
    }
}

/// What is to be known of a peer without its type.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub name: &'static str,
    pub about: &'static str,
    pub refuses: fn(&Task) -> Option<&'static str>,
    pub play: fn(&Seat, &Task) -> Result<Figures>,
}

impl Entry {
    fn of<P: Peer>() -> Self {
        Self {
            name: P::NAME,
            about: P::ABOUT,
            refuses: P::refuses,
            play: work::play::<P>,
        }
    }
}

/// All of them, ours first.
pub(crate) fn all() -> Vec<Entry> {
    vec![
        Entry::of::<ipmb::Ipmb>(),
        Entry::of::<ipmb08::Ipmb08>(),
        Entry::of::<ring::Ring>(),
        Entry::of::<ring::RingVec>(),
        Entry::of::<ring::RingVecs>(),
        Entry::of::<ring::RingEventfd>(),
        Entry::of::<eventfd::Eventfd>(),
        Entry::of::<seqpacket::Seqpacket>(),
        Entry::of::<pipe::Pipe>(),
    ]
}

/// The one of this name.
pub(crate) fn find(name: &str) -> Option<Entry> {
    all().into_iter().find(|it| it.name == name)
}

/// A line for each.
pub(crate) fn list() -> String {
    let mut list = String::new();
    for Entry { name, about, .. } in all() {
        // Writing to a String cannot fail.
        let _ = writeln!(list, "{name:<14} {about}");
    }
    list
}

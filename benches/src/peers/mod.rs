//! The systems, a file each, behind one trait.

mod eventfd;
mod handover;
mod ipmb;
mod ipmb08;
mod memcpy;
mod pipe;
mod ring;
mod seqpacket;

#[cfg(feature = "peers")]
mod others;
#[cfg(not(feature = "peers"))]
mod others {
    pub(super) fn all() -> Vec<super::Entry> {
        Vec::new()
    }
}

use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    work::{self, Figures, Task, Work},
};
use std::{
    fmt::Write as _,
    io::{self, BufRead, Write as _},
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// The name of the one that the others are compared with.
pub(crate) const OURS: &str = <ipmb::Ipmb as Peer>::NAME;

/// A system, and one process's end of a connection through it.
///
/// A measurement has some receivers and some senders, each a process. What a sender sends goes to
/// all receivers. Only where there is one of each do messages go back, too.
pub(crate) trait Peer: Sized + 'static {
    /// Its name, on the command line too.
    const NAME: &'static str;
    /// What it is, in a line.
    const ABOUT: &'static str;
    /// What it can beyond sending bytes: those methods below that have defaults. It is left out of
    /// the works that need something else.
    const OFFERS: &'static [Offer] = &[];

    /// What a message is when it has come: something owned, if its interface gives that.
    type Received<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// Why it cannot do something that it should be able to do.
    fn refuses(_task: &Task) -> Option<&'static str> {
        None
    }

    /// Meets the other processes.
    fn connect(seat: &Seat) -> Result<Self>;

    /// Sends to all receivers, in one call where its interface has that; from a receiver, to the
    /// sender. Where its interface takes something owned, that is made here.
    fn send(&mut self, message: &[u8]) -> Result<()>;

    /// Sends the next message of `stamper` as [`send`](Self::send) does. Where its interface sends from a buffer
    /// of the caller's, the message is made there.
    fn send_next(&mut self, stamper: &mut Stamper, phase: Phase) -> Result<()> {
        self.send(stamper.stamp(phase))
    }

    /// Waits for a message from whoever sends one.
    fn receive(&mut self) -> Result<Self::Received<'_>>;

    /// Waits for a message, and sends it back.
    fn echo(&mut self, checker: &mut Checker) -> Result<Phase>;

    /// Sends a message of `size` bytes that `fill` writes where the receivers will read it. It
    /// writes the first word and the last byte; what is in between may be anything.
    fn send_loaned(&mut self, _size: usize, _fill: Fill<'_>) -> Result<()> {
        lacks("loans")
    }

    /// Waits for a message from `send_loaned`, and lets `look` at it where it lies.
    fn receive_view(&mut self, _look: Look<'_>) -> Result<()> {
        lacks("loans")
    }

    /// Sends a memory region of `size` bytes, of which `fill` writes the first word and the last
    /// byte: a new one, or else one from its pool of recycled ones.
    fn send_region(&mut self, _size: usize, _fresh: bool, _fill: Fill<'_>) -> Result<()> {
        lacks("memory regions")
    }

    /// Waits for a memory region, lets `look` at it, and gives it up.
    fn receive_region(&mut self, _look: Look<'_>) -> Result<()> {
        lacks("memory regions")
    }

    /// Sends a message and a descriptor. Where its interface takes an owned one, it is cloned here.
    fn send_object(&mut self, _message: &[u8], _object: BorrowedFd<'_>) -> Result<()> {
        lacks("objects")
    }

    /// Waits for a message from `send_object`, lets `look` at it, and hands out the descriptor.
    fn receive_object(&mut self, _look: Look<'_>) -> Result<OwnedFd> {
        lacks("objects")
    }

    /// Sends a request to the receiver, waits for the reply, and lets `look` at that.
    fn request(&mut self, _message: &[u8], _look: Look<'_>) -> Result<()> {
        lacks("requests")
    }

    /// Waits for a request, and replies with what it has got.
    fn reply(&mut self, _checker: &mut Checker) -> Result<Phase> {
        lacks("requests")
    }

    /// Removes what a process that was killed left outside of the measurement's directory.
    fn clean_up(_directory: &Path) {}
}

/// Writes the first word and the last byte.
pub(crate) type Fill<'a> = &'a mut dyn FnMut(&mut [u8]);
/// Checks a message.
pub(crate) type Look<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// What not every system can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// `send_loaned`, `receive_view`.
    Loans,
    /// `send_region`, `receive_region`.
    Regions,
    /// `send_object`, `receive_object`.
    Objects,
    /// `request`, `reply`.
    Requests,
    /// `connect` works at any time and any number of times, and dropping takes it back: one can
    /// join and leave while others go on.
    Join,
    /// Any process may be killed, the first one too, and the others can go on.
    Failover,
}

fn lacks<T>(what: &str) -> Result<T> {
    Err(format!("it has no {what}").into())
}

/// Where one process of a measurement sits.
#[derive(Clone)]
pub(crate) struct Seat {
    pub role: Role,
    /// Among those of its role, from zero.
    pub index: usize,
    /// How many there are.
    pub receivers: usize,
    pub senders: usize,
    /// Bytes of a message.
    #[allow(dead_code, reason = "for systems that want room made in advance")]
    pub size: usize,
    /// Of this measurement alone. Empty at first.
    pub directory: PathBuf,
    /// The core that this process stays on.
    #[allow(dead_code, reason = "for systems that pin threads of their own")]
    pub core: Option<usize>,
    /// What they are here for.
    pub work: Work,
    /// Whether somebody waits to hear that it is ready.
    pub announces: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Receives, or sends back. Receivers are started one after the other, each when the one before
    /// is ready.
    Receiver,
    /// Sends, or asks. Senders are started when all receivers are ready, and begin when all senders
    /// are ready.
    Sender,
}

impl Seat {
    /// Tells that others can come: every `connect` calls it, a receiver when senders find it, a
    /// sender when it has found the receivers.
    pub(crate) fn ready(&self) -> io::Result<()> {
        if !self.announces {
            return Ok(());
        }
        let mut output = io::stdout().lock();
        writeln!(output, "ready")?;
        output.flush()
    }

    /// For the same process to connect once more.
    pub(crate) fn once_more(&self) -> Self {
        let announces = false;
        Self {
            announces,
            ..self.clone()
        }
    }

    /// Waits until all are ready.
    pub(crate) fn wait_for_all(&self) -> io::Result<()> {
        io::stdin().lock().read_line(&mut String::new()).map(drop)
    }
}

/// What is to be known of a peer without its type.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether it can do this kind of work at all.
    pub takes_part: fn(&Task) -> bool,
    /// Why it cannot do something that it should be able to do.
    pub refuses: fn(&Task) -> Option<&'static str>,
    pub play: fn(&Seat, &Task) -> Result<Figures>,
    pub clean_up: fn(&Path),
}

impl Entry {
    fn of<P: Peer>() -> Self {
        Self {
            name: P::NAME,
            about: P::ABOUT,
            takes_part: |task| {
                let needs = task.work.about().needs;
                needs.is_none_or(|it| P::OFFERS.contains(&it))
            },
            refuses: P::refuses,
            play: work::play::<P>,
            clean_up: P::clean_up,
        }
    }
}

/// All of them, ours first.
pub(crate) fn all() -> Vec<Entry> {
    let ours = vec![Entry::of::<ipmb::Ipmb>(), Entry::of::<ipmb08::Ipmb08>()];
    let floors = vec![
        Entry::of::<ring::Ring>(),
        Entry::of::<ring::RingVec>(),
        Entry::of::<ring::RingVecs>(),
        Entry::of::<ring::RingEventfd>(),
        Entry::of::<eventfd::Eventfd>(),
        Entry::of::<seqpacket::Seqpacket>(),
        Entry::of::<pipe::Pipe>(),
        memcpy::ENTRY,
    ];
    [ours, others::all(), floors].concat()
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

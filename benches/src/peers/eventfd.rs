//! What waking a process costs: an eventfd each way, and nothing else.

use super::{Peer, Seat, handover::meet_one};
use crate::{
    Result,
    message::{self, Checker, Phase, SMALLEST},
    work::{Task, Work},
};
use rustix::{
    event::{EventfdFlags, eventfd},
    io::{dup, read, write},
};
use std::os::fd::OwnedFd;

pub(crate) struct Eventfd {
    incoming: OwnedFd,
    outgoing: OwnedFd,
    /// As long as those that are sent, of which only the number travels: as the eventfd's value.
    received: Vec<u8>,
}

impl Peer for Eventfd {
    const NAME: &'static str = "eventfd";
    const ABOUT: &'static str =
        "floor: two eventfds, which carry a number and no bytes; always sleeps";

    type Received<'a> = &'a [u8];

    fn refuses(task: &Task) -> Option<&'static str> {
        let round_trip = matches!(task.work, Work::RoundTrip | Work::RoundTripAsleep);
        (!round_trip).then_some("it carries no messages")
    }

    fn connect(seat: &Seat) -> Result<Self> {
        let [incoming, outgoing] = meet_one(seat, || {
            let a = eventfd(0, EventfdFlags::CLOEXEC)?;
            let b = eventfd(0, EventfdFlags::CLOEXEC)?;
            let others = [dup(&b)?, dup(&a)?];
            Ok(([a, b], others))
        })?;
        Ok(Self {
            incoming,
            outgoing,
            received: vec![0; SMALLEST],
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.received.resize(message.len(), 0);
        // Zero would wake nobody.
        let value = message::word(message) + 1;
        write(&self.outgoing, &value.to_ne_bytes())?;
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8]> {
        let mut value = [0; 8];
        read(&self.incoming, &mut value)?;
        message::write(&mut self.received, u64::from_ne_bytes(value) - 1);
        Ok(&self.received)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        self.received.resize(checker.size(), 0);
        let message = self.receive()?;
        let phase = checker.check(message)?;
        let message = std::mem::take(&mut self.received);
        let sent = self.send(&message);
        self.received = message;
        sent.map(|()| phase)
    }
}

//! Pairs of seqpacket sockets, as control channels use them: one for each receiver, whose other end
//! all senders share.

use super::{Peer, Seat, handover::meet};
use crate::{
    Result,
    message::{Checker, Phase},
    work::Task,
};
use rustix::{
    io::dup,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
};
use std::os::fd::OwnedFd;

const LARGEST: usize = 128 << 10;

pub(crate) struct Seqpacket {
    /// Those of all receivers; in a receiver, its own.
    sockets: Vec<OwnedFd>,
    buffer: Vec<u8>,
}

impl Seqpacket {
    fn fill(&mut self) -> Result<usize> {
        let (length, _) = recv(&self.sockets[0], &mut self.buffer[..], RecvFlags::empty())?;
        Ok(length)
    }
}

impl Peer for Seqpacket {
    const NAME: &'static str = "seqpacket";
    const ABOUT: &'static str =
        "floor: a pair of Unix seqpacket sockets per receiver, buffer reused";

    type Received<'a> = &'a [u8];

    fn refuses(task: &Task) -> Option<&'static str> {
        (task.size > LARGEST).then_some("the socket takes no message over its buffer")
    }

    fn connect(seat: &Seat) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (own, others) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let sockets = meet(seat, || Ok(([dup(&own)?], [dup(&others)?])))?;
        Ok(Self {
            sockets: sockets.into_iter().flatten().collect(),
            buffer: vec![0; LARGEST],
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        for socket in &self.sockets {
            send(socket, message, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8]> {
        let length = self.fill()?;
        Ok(&self.buffer[..length])
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let length = self.fill()?;
        let message = &self.buffer[..length];
        let phase = checker.check(message)?;
        send(&self.sockets[0], message, SendFlags::NOSIGNAL)?;
        Ok(phase)
    }
}

//! Pairs of seqpacket sockets, as control channels use them: one for each receiver, whose other end
//! all senders share.

use super::{Look, Offer, Peer, Seat, handover::meet};
use crate::{
    Result,
    message::{Checker, Phase},
    work::Task,
};
use rustix::{
    io::dup,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
        socketpair,
    },
};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

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

    const OFFERS: &'static [Offer] = &[Offer::Objects];

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

    fn send_object(&mut self, message: &[u8], object: BorrowedFd<'_>) -> Result<()> {
        for socket in &self.sockets {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let objects = [object];
            ancillary.push(SendAncillaryMessage::ScmRights(&objects));
            let message = [IoSlice::new(message)];
            sendmsg(socket, &message, &mut ancillary, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    fn receive_object(&mut self, look: Look<'_>) -> Result<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [IoSliceMut::new(&mut self.buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let length = recvmsg(&self.sockets[0], &mut buffer, &mut ancillary, flags)?.bytes;
        let object = ancillary.drain().find_map(|it| match it {
            RecvAncillaryMessage::ScmRights(mut objects) => objects.next(),
            _ => None,
        });
        look(&self.buffer[..length])?;
        object.ok_or_else(|| "a message came without its object".into())
    }
}

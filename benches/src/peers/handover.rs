//! How the bare mechanisms meet: a receiver makes descriptors, and hands some to each sender over a
//! socket that nobody uses afterwards.

use super::{Role, Seat};
use crate::Result;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
};

/// More than any of them hands over.
const MOST: usize = 8;

/// A process's own descriptors, for each process of the other role. A receiver `make`s both its
/// own and the sender's.
pub(super) fn meet<const N: usize>(
    seat: &Seat,
    mut make: impl FnMut() -> Result<([OwnedFd; N], [OwnedFd; N])>,
) -> Result<Vec<[OwnedFd; N]>> {
    let place = |receiver| seat.directory.join(format!("meet-{receiver}"));
    let mut all = Vec::new();
    match seat.role {
        Role::Receiver => {
            let listener = UnixListener::bind(place(seat.index))?;
            seat.ready()?;
            for _ in 0..seat.senders {
                let (own, others) = make()?;
                give(&listener.accept()?.0, &others)?;
                all.push(own);
            }
        }
        Role::Sender => {
            for receiver in 0..seat.receivers {
                let own = take(&UnixStream::connect(place(receiver))?)?;
                let count = own.len();
                let own = own.try_into();
                all.push(own.map_err(|_| format!("{count} descriptors came, not {N}"))?);
            }
            seat.ready()?;
        }
    }
    Ok(all)
}

/// As [`meet`], where there is one process of either role.
pub(super) fn meet_one<const N: usize>(
    seat: &Seat,
    make: impl FnMut() -> Result<([OwnedFd; N], [OwnedFd; N])>,
) -> Result<[OwnedFd; N]> {
    let one = meet(seat, make)?.pop();
    one.ok_or_else(|| "there is nobody to meet".into())
}

fn give(stream: &UnixStream, descriptors: &[OwnedFd]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    if !ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err("too many descriptors to hand over".into());
    }
    sendmsg(
        stream,
        &[IoSlice::new(&[0])],
        &mut ancillary,
        SendFlags::empty(),
    )?;
    Ok(())
}

fn take(stream: &UnixStream) -> Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    recvmsg(stream, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut taken = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            taken.extend(descriptors);
        }
    }
    Ok(taken)
}

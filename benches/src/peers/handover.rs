//! How the bare mechanisms meet: the first process makes descriptors, and hands some to the second
//! over a socket that nobody uses afterwards.

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

/// A process's own descriptors: the first `make`s both its own and the second's.
pub(super) fn meet<const N: usize>(
    seat: &Seat,
    make: impl FnOnce() -> Result<([OwnedFd; N], [OwnedFd; N])>,
) -> Result<[OwnedFd; N]> {
    let place = seat.directory.join("meet");
    match seat.role {
        Role::First => {
            let (own, others) = make()?;
            let listener = UnixListener::bind(place)?;
            seat.ready()?;
            give(&listener.accept()?.0, &others)?;
            Ok(own)
        }
        Role::Second => {
            let own = take(&UnixStream::connect(place)?)?;
            seat.ready()?;
            let count = own.len();
            own.try_into()
                .map_err(|_| format!("{count} descriptors came, not {N}").into())
        }
    }
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

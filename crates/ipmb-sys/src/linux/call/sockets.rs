//! Sockets.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Result;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, RecvMsg, SendAncillaryBuffer, SendFlags,
    Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind as bind_to,
    connect as connect_to, listen as listen_for, recvmsg as receive, sendmsg as send,
    shutdown as shut_down, socket_with, socketpair as pair_of, sockopt,
};

use super::{calls, checked, strike};

calls! {
    Socketpair => fn socketpair(family: AddressFamily, kind: SocketType, flags: SocketFlags) -> (OwnedFd, OwnedFd) = make_pair;
    Socket => fn socket(family: AddressFamily, kind: SocketType, flags: SocketFlags) -> OwnedFd = make_one;
    Bind => fn bind(socket: impl AsFd, address: &SocketAddrUnix) -> () = bind_to;
    Listen => fn listen(socket: impl AsFd, backlog: i32) -> () = listen_for;
    Connect => fn connect(socket: impl AsFd, address: &SocketAddrUnix) -> () = connect_to;
    Accept => fn accept(socket: impl AsFd, flags: SocketFlags) -> OwnedFd = accept_with;
    Shutdown => fn shutdown(socket: impl AsFd, how: Shutdown) -> () = shut_down;
    Sendmsg => fn sendmsg(socket: impl AsFd, parts: &[IoSlice<'_>], control: &mut SendAncillaryBuffer<'_, '_, '_>, flags: SendFlags) -> usize = send;
    Recvmsg => fn recvmsg(socket: impl AsFd, parts: &mut [IoSliceMut<'_>], control: &mut RecvAncillaryBuffer<'_>, flags: RecvFlags) -> RecvMsg = receive;
    Recv => fn recv_nothing(socket: impl AsFd, flags: RecvFlags) -> () = receive_nothing;
    Getsockopt => fn domain_and_type(socket: BorrowedFd<'_>) -> (AddressFamily, SocketType) = ask_domain_and_type;
    Getsockopt => fn peer(socket: BorrowedFd<'_>) -> libc::ucred = ask_peer;
}

/// `recvmmsg`, to as many heads as there are.
///
/// # Safety
///
/// What the heads point to is live, and as long as they say.
#[inline(always)]
pub(in super::super) unsafe fn recvmmsg(
    socket: BorrowedFd<'_>,
    heads: &mut [libc::mmsghdr],
    flags: libc::c_int,
) -> Result<usize> {
    let short = strike!(Recvmmsg);
    let most = if short { 1 } else { heads.len() };
    let no_timeout = std::ptr::null_mut();
    // SAFETY: the caller's promise; the heads are live, and no timeout is a value, too.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            heads.as_mut_ptr(),
            most as _,
            flags as _,
            no_timeout,
        )
    };
    checked(received).map(|received| received as usize)
}

/// `SO_PEEK_OFF`.
#[inline(always)]
pub(in super::super) fn set_peek_offset(socket: BorrowedFd<'_>, offset: libc::c_int) -> Result<()> {
    let _ = strike!(Setsockopt);
    let len = size_of_val(&offset) as libc::socklen_t;
    // SAFETY: a pointer to a live integer, and its length.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEEK_OFF,
            (&raw const offset).cast(),
            len,
        )
    };
    checked(set).map(drop)
}

#[inline(always)]
fn make_pair(
    family: AddressFamily,
    kind: SocketType,
    flags: SocketFlags,
) -> Result<(OwnedFd, OwnedFd)> {
    pair_of(family, kind, flags, None)
}

#[inline(always)]
fn make_one(family: AddressFamily, kind: SocketType, flags: SocketFlags) -> Result<OwnedFd> {
    socket_with(family, kind, flags, None)
}

#[inline(always)]
fn receive_nothing(socket: impl AsFd, flags: RecvFlags) -> Result<()> {
    let mut nothing = [0; 0];
    rustix::net::recv(socket, &mut nothing, flags).map(drop)
}

fn ask_domain_and_type(socket: BorrowedFd<'_>) -> Result<(AddressFamily, SocketType)> {
    let domain = sockopt::socket_domain(socket)?;
    Ok((domain, sockopt::socket_type(socket)?))
}

/// Not by rustix, whose process ids are never 0, while the kernel says 0 for a peer in a process
/// namespace that is not below ours.
fn ask_peer(socket: BorrowedFd<'_>) -> Result<libc::ucred> {
    let mut found = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = size_of_val(&found) as libc::socklen_t;
    // SAFETY: `found` and `len` are live, and `len` is the size of `found`, whose fields are
    // integers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &mut len,
        )
    };
    checked(result).map(|_| found)
}

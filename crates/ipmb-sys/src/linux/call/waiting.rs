//! Waiting and waking.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{
    self as polling, CreateFlags, Event, EventData, EventFlags, add, delete, modify,
};
use rustix::event::{EventfdFlags, PollFd, Timespec, eventfd as make_eventfd, poll as poll_some};
use rustix::io::{ReadWriteFlags, Result, preadv2 as read_vectored, read as read_some};
use rustix::process::{Pid, PidfdFlags, pidfd_open as open_process};

use super::{calls, strike};

calls! {
    Eventfd => fn eventfd(count: u32, flags: EventfdFlags) -> OwnedFd = make_eventfd;
    Poll => fn poll(objects: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> usize = poll_some;
    EpollCreate => fn epoll_create(flags: CreateFlags) -> OwnedFd = polling::create;
    EpollCtlAdd => fn epoll_add(epoll: impl AsFd, object: impl AsFd, data: EventData, flags: EventFlags) -> () = add;
    EpollCtlMod => fn epoll_modify(epoll: impl AsFd, object: impl AsFd, data: EventData, flags: EventFlags) -> () = modify;
    EpollCtlDel => fn epoll_delete(epoll: impl AsFd, object: impl AsFd) -> () = delete;
    PidfdOpen => fn pidfd_open(process: Pid, flags: PidfdFlags) -> OwnedFd = open_process;
    Preadv2 => fn preadv2(file: impl AsFd, parts: &mut [IoSliceMut<'_>], offset: u64, flags: ReadWriteFlags) -> usize = read_vectored;
}

#[inline(always)]
pub(in super::super) fn epoll_wait(
    epoll: impl AsFd,
    events: &mut [Event],
    timeout: Option<&Timespec>,
) -> Result<usize> {
    let short = strike!(EpollWait);
    let most = if short { 1 } else { events.len() };
    polling::wait(epoll, &mut events[..most], timeout)
}

#[inline(always)]
pub(in super::super) fn read(file: impl AsFd, bytes: &mut [u8]) -> Result<usize> {
    let short = strike!(Read);
    let most = if short { 1 } else { bytes.len() };
    read_some(file, &mut bytes[..most])
}

#[inline(always)]
pub(in super::super) fn write(file: impl AsFd, bytes: &[u8]) -> Result<usize> {
    #[cfg(feature = "faults")]
    match super::super::faults::strike(super::super::faults::Call::Write) {
        // To a doorbell or a readiness mark it means that it is set: so let it be.
        Err(rustix::io::Errno::AGAIN) => {
            let _ = rustix::io::write(&file, bytes);
            return Err(rustix::io::Errno::AGAIN);
        }
        struck => struck?,
    };
    rustix::io::write(file, bytes)
}

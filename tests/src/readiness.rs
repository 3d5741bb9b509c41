//! Whether a receiver's descriptor polls readable.

use ipmb::{EndpointReceiver, MessageBox};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::Duration;

/// Whether it is readable now.
pub fn is_readable<R>(receiver: &EndpointReceiver<R>) -> bool {
    poll_for(receiver, Duration::ZERO)
}

/// Nothing waits. A ring that comes late, for what has been received already, makes it readable once
/// more, until somebody has looked.
pub fn is_quiet<R: MessageBox>(receiver: &EndpointReceiver<R>) -> bool {
    for _ in 0..100 {
        if !is_readable(receiver) {
            return true;
        }
        if !matches!(receiver.try_recv(), Ok(None)) {
            return false;
        }
    }
    false
}

/// Whether it becomes readable in time.
pub fn poll_for<R>(receiver: &EndpointReceiver<R>, timeout: Duration) -> bool {
    let mut fds = [PollFd::new(receiver, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).expect("it is not that long");
    let ready = loop {
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => break ready,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    };
    ready > 0
}

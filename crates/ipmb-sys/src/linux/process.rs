//! Processes, randomness, time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags};
use rustix::time::{ClockId, clock_gettime};

use super::{call, wait_readable};

/// The death of one process, to wait for.
#[derive(Debug)]
pub struct ProcessWatch {
    process: OwnedFd,
}

impl ProcessWatch {
    /// Watches the process that has this id now; `None` if there is none.
    ///
    /// Ids are used again: that it is the process you mean has to be known otherwise, for example
    /// because its channel is still connected afterwards.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        match call::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => Ok(Some(Self { process })),
            Err(Errno::SRCH) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether all threads of the process have ended. Also true before its parent has taken notice.
    pub fn is_dead(&self) -> bool {
        wait_readable(self.as_fd(), Some(Duration::ZERO)).unwrap_or(false)
    }
}

impl AsFd for ProcessWatch {
    /// Readable from the death of the process on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

/// Fills the buffer with bytes that nobody can predict.
pub fn random(buf: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += retry_on_intr(|| call::getrandom(rest))?;
    }
    Ok(())
}

/// Nanoseconds since the machine started, sleep included: the same clock in every process.
pub fn boot_time_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// Whether the machine has but one processor in use. That a process is kept on one of several
/// does not count: others run beside it.
pub fn has_one_processor() -> bool {
    // A list of ranges, such as "0-3,8".
    call::read_text("/sys/devices/system/cpu/online").is_ok_and(|list| !list.contains(['-', ',']))
}

//! A full fence in all threads of all processes that take part. (membarrier(2))

use std::io;

use rustix::thread::{MembarrierCommand, membarrier_query};

use super::call;

/// Whether [`process_barrier`] works here: since Linux 4.16, unless a sandbox forbids it.
pub fn has_process_barrier() -> bool {
    let known = membarrier_query();
    known.contains_command(MembarrierCommand::RegisterGlobalExpedited)
        && known.contains_command(MembarrierCommand::GlobalExpedited)
        && call::membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}

/// Lets this process take part from now on. Takes some 10 ms, or a microsecond if there is but one
/// thread, or if the process takes part already. Forked children take part too.
pub fn join_process_barriers() -> io::Result<()> {
    Ok(call::membarrier(
        MembarrierCommand::RegisterGlobalExpedited,
    )?)
}

/// Every thread of every process that takes part has passed a full fence between the beginning and
/// the end of this call, as has the caller. Takes a microsecond or so, and disturbs the processors
/// on which such threads run.
///
/// Does nothing where there [is no such thing](has_process_barrier).
pub fn process_barrier() {
    // It has worked once, and then it has no reason to fail.
    let _ = call::membarrier(MembarrierCommand::GlobalExpedited);
}

/// Whether this process has but one thread.
pub fn is_single_threaded() -> bool {
    // A directory's links: itself, its entry in the one above, and each directory in it.
    call::stat("/proc/self/task").is_ok_and(|it| it.st_nlink == 3)
}

//! Threads of the library's own.

use std::io;
use std::thread::JoinHandle;

use super::call;

/// Starts a thread, with a stack of so many bytes or (`None`) of the usual size.
///
/// # Errors
///
/// The system has no room for one more.
pub fn start_thread<T: Send + 'static>(
    name: &str,
    stack: Option<usize>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    call::spawn(name, stack, work)
}

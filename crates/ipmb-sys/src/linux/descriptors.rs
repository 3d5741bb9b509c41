//! When there are no free descriptors.

use std::io;

use rustix::io::Errno;

/// What the system says when the process has no free descriptor.
pub fn out_of_descriptors() -> io::Error {
    Errno::MFILE.into()
}

/// Whether the process, or the system, has no free descriptor.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

//! Every system call of this crate, and no other way to one: what `faults` makes fail, fails here.
//!
//! Without that feature each of these functions is the call itself. What a forked child does before
//! `fork` returns (`fork.rs`) is not here, nor what cannot fail (`getuid`, `clock_gettime`, `sysinfo`,
//! `getrlimit`, `close`).

mod files;
mod memory;
mod sockets;
mod waiting;

pub(super) use files::*;
pub(super) use memory::*;
pub(super) use sockets::*;
pub(super) use waiting::*;

/// Asks the injector whether this call is to fail now, and returns its error. True: it is to be
/// short.
macro_rules! strike {
    ($call:ident) => {{
        #[cfg(feature = "faults")]
        let short = super::super::faults::strike(super::super::faults::Call::$call)?;
        #[cfg(not(feature = "faults"))]
        let short = false;
        short
    }};
}

/// Functions that are a system call each.
macro_rules! calls {
    ($($call:ident => fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty = $path:path;)*) => {$(
        #[inline(always)]
        pub(in super::super) fn $name($($argument: $type),*) -> rustix::io::Result<$result> {
            let _ = strike!($call);
            $path($($argument),*)
        }
    )*};
}

pub(in crate::linux) use {calls, strike};

/// What the system said of a call of the C library that returns -1 for an error.
#[inline(always)]
fn checked(result: libc::c_int) -> rustix::io::Result<libc::c_int> {
    match result {
        -1 => Err(last()),
        result => Ok(result),
    }
}

#[inline(always)]
fn last() -> rustix::io::Errno {
    let error = std::io::Error::last_os_error();
    rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO)
}

//! Names under which ipmb 0.8 exported what is at the root of the crate.

#[deprecated(since = "0.9.0", note = "use `ipmb::MemoryRegion`")]
pub use crate::MemoryRegion;
#[deprecated(since = "0.9.0", note = "use `ipmb::Object`")]
pub use crate::Object;

/// What is Linux's own.
#[cfg(target_os = "linux")]
pub mod linux {
    #[deprecated(since = "0.9.0", note = "use `ipmb::Object`")]
    pub use crate::Object as Fd;
}

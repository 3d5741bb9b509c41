//! The version of this library.

use crate::Version;

/// The version of this library. Endpoints of compatible versions can be on one bus.
///
/// ```
/// assert!(ipmb::version().compatible(ipmb::version()));
/// ```
pub fn version() -> Version {
    ipmb_core::LIBRARY_VERSION
}

/// The pre-release part of the version, empty if there is none.
///
/// ```
/// println!("ipmb {}{}", ipmb::version(), ipmb::version_pre());
/// ```
pub fn version_pre() -> String {
    env!("CARGO_PKG_VERSION_PRE").to_owned()
}

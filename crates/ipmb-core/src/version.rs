//! The version of the library, exchanged in the handshake.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A semantic version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub (u8, u8, u8));

impl Version {
    /// The version `major.minor.patch`.
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self((major, minor, patch))
    }

    /// The first number.
    pub const fn major(&self) -> u8 {
        self.0.0
    }

    /// The second number.
    pub const fn minor(&self) -> u8 {
        self.0.1
    }

    /// The third number.
    pub const fn patch(&self) -> u8 {
        self.0.2
    }

    /// Whether endpoints of the two versions can share a bus: the rule of semantic versioning, equal
    /// major versions, and below 1.0 equal minor versions too. Symmetric.
    pub const fn compatible(&self, other: Version) -> bool {
        self.major() == other.major() && (self.major() != 0 || self.minor() == other.minor())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major(), self.minor(), self.patch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_one_the_minor_version_must_agree() {
        let v = Version::new;
        assert!(v(0, 9, 0).compatible(v(0, 9, 7)));
        assert!(!v(0, 9, 0).compatible(v(0, 8, 0)));
        assert!(v(1, 2, 0).compatible(v(1, 9, 3)));
        assert!(!v(1, 0, 0).compatible(v(2, 0, 0)));
        assert!(!v(0, 1, 0).compatible(v(1, 1, 0)));
        assert_eq!(v(0, 9, 12).to_string(), "0.9.12");
    }
}

//! How a joiner and the controller prove to each other that they hold the token.
//!
//! ```text
//! joiner      Hello      version, nonce, digest of the identifier, standing      → controller
//!         ←   Challenge  version, nonce, standing, MAC over everything so far
//!             Proof      MAC over everything so far                    →
//! ```
//!
//! Instead of its next packet the controller may send a Refusal, and close. The MAC is HMAC-SHA-256
//! (RFC 2104), keyed with a digest of the token, over a label of the protocol, the role of the one who
//! proves, both nonces, the digest of the identifier, both versions and both [`Standing`]s: so neither a packet of another
//! handshake nor one of the other side's can be played back. The controller proves itself first, so
//! somebody who squats on the name learns nothing about the token. Somebody who connects does get a MAC
//! that he can test guesses of the token against; a token that must withstand that is random and long.
//!
//! Packets have a fixed size each, at most [`MAX_HANDSHAKE_PACKET`] bytes. Magic, kind and versions
//! stand at the same place in every version of the protocol, so that incompatible ones can tell.

mod credential;
mod doorkeeper;
mod greeter;
mod packet;
mod standing;
mod transcript;
mod wiped;

#[cfg(test)]
mod tests;

pub use credential::Credential;
pub use doorkeeper::{Doorkeeper, DoorkeeperStep};
pub use greeter::{Greeter, GreeterStep};
pub use packet::MAX_HANDSHAKE_PACKET;
pub use standing::Standing;

use crate::Version;

/// The version of this library, which both sides compare in the handshake.
pub const LIBRARY_VERSION: Version = Version::new(
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
);

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The two sides cannot understand each other.
    #[error(
        "the bus is served by version {0} of ipmb, which is not compatible with version {LIBRARY_VERSION}: use the same version in all processes"
    )]
    VersionMismatch(Version),
    /// The two sides hold different tokens.
    #[error("the token is not that of the bus: give all processes the same one")]
    TokenMismatch,
    /// The other side does not speak this protocol.
    #[error("the other side does not speak the protocol of ipmb")]
    Malformed,
    /// The other side serves another bus.
    #[error("the other side serves a bus of another identifier")]
    WrongIdentifier,
    /// Holds the token, but is not the process at the other end of the connection.
    #[error(
        "a process stands between this endpoint and the bus and passes on what both say: find out who put up the bus's socket"
    )]
    Relayed,
}

/// A decimal number, at compile time.
const fn number(digits: &str) -> u8 {
    let mut rest = digits.as_bytes();
    let mut number = 0;
    while let [digit, tail @ ..] = rest {
        number = number * 10 + (*digit - b'0');
        rest = tail;
    }
    number
}

//! The four packets, byte by byte.
//!
//! ```text
//! all        0 magic "ipmb" · 4 kind · 5 wire version (u16, little-endian) · 7 library version (3)
//! Hello     10 nonce (32) · 42 digest of the identifier (32) · 74 standing (24)
//! Challenge 10 nonce (32) · 42 MAC (32) · 74 standing (24)
//! Proof     10 MAC (32)
//! Refusal   10 reason
//! ```

use super::{HandshakeError, Standing};
use crate::Version;

/// The longest packet of the handshake, in bytes. A longer one need not be looked at.
pub const MAX_HANDSHAKE_PACKET: usize = 160;

const MAGIC: [u8; 4] = *b"ipmb";
/// Counts the incompatible changes of everything that is shared between processes.
const WIRE_VERSION: u16 = 1;

const HELLO: u8 = 1;
const CHALLENGE: u8 = 2;
const PROOF: u8 = 3;
const REFUSAL: u8 = 4;

const VERSION: u8 = 1;
const TOKEN: u8 = 2;
const IDENTIFIER: u8 = 3;
const MALFORMED: u8 = 4;
const RELAYED: u8 = 5;

/// A packet, and the version of the library that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) version: Version,
    pub(super) content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Hello {
        nonce: [u8; 32],
        identifier: [u8; 32],
        standing: Standing,
    },
    Challenge {
        nonce: [u8; 32],
        mac: [u8; 32],
        standing: Standing,
    },
    Proof {
        mac: [u8; 32],
    },
    Refusal(HandshakeError),
}

impl Packet {
    pub(super) fn encode(&self) -> Vec<u8> {
        let standing = match &self.content {
            Content::Hello { standing, .. } | Content::Challenge { standing, .. } => {
                standing.to_bytes()
            }
            Content::Proof { .. } | Content::Refusal(_) => Default::default(),
        };
        let (kind, parts): (u8, [&[u8]; 3]) = match &self.content {
            Content::Hello {
                nonce, identifier, ..
            } => (HELLO, [nonce, identifier, &standing]),
            Content::Challenge { nonce, mac, .. } => (CHALLENGE, [nonce, mac, &standing]),
            Content::Proof { mac } => (PROOF, [mac, &[], &[]]),
            Content::Refusal(error) => (
                REFUSAL,
                [
                    match error {
                        HandshakeError::VersionMismatch(_) => &[VERSION],
                        HandshakeError::TokenMismatch => &[TOKEN],
                        HandshakeError::WrongIdentifier => &[IDENTIFIER],
                        HandshakeError::Malformed => &[MALFORMED],
                        HandshakeError::Relayed => &[RELAYED],
                    },
                    &[],
                    &[],
                ],
            ),
        };
        let (major, minor, patch) = self.version.0;
        let mut bytes = Vec::with_capacity(MAX_HANDSHAKE_PACKET);
        bytes.extend(MAGIC);
        bytes.push(kind);
        bytes.extend(WIRE_VERSION.to_le_bytes());
        bytes.extend([major, minor, patch]);
        bytes.extend(parts.concat());
        bytes
    }

    /// Reads a packet for a library of version `ours`. One of an incompatible version is an error,
    /// whatever else is in it, except that a refusal says why it refuses.
    pub(super) fn parse(bytes: &[u8], ours: Version) -> Result<Self, HandshakeError> {
        let mut rest = bytes;
        if take(&mut rest)? != MAGIC {
            return Err(HandshakeError::Malformed);
        }
        let [kind] = take(&mut rest)?;
        let wire_version = u16::from_le_bytes(take(&mut rest)?);
        let [major, minor, patch] = take(&mut rest)?;
        let version = Version::new(major, minor, patch);
        if kind != REFUSAL && (wire_version != WIRE_VERSION || !ours.compatible(version)) {
            return Err(HandshakeError::VersionMismatch(version));
        }
        let content = match kind {
            HELLO => Content::Hello {
                nonce: take(&mut rest)?,
                identifier: take(&mut rest)?,
                standing: Standing::from_bytes(take(&mut rest)?),
            },
            CHALLENGE => Content::Challenge {
                nonce: take(&mut rest)?,
                mac: take(&mut rest)?,
                standing: Standing::from_bytes(take(&mut rest)?),
            },
            PROOF => Content::Proof {
                mac: take(&mut rest)?,
            },
            REFUSAL => Content::Refusal(match take(&mut rest)? {
                [VERSION] => HandshakeError::VersionMismatch(version),
                [TOKEN] => HandshakeError::TokenMismatch,
                [IDENTIFIER] => HandshakeError::WrongIdentifier,
                [RELAYED] => HandshakeError::Relayed,
                _ => HandshakeError::Malformed,
            }),
            _ => return Err(HandshakeError::Malformed),
        };
        if rest.is_empty() {
            Ok(Self { version, content })
        } else {
            Err(HandshakeError::Malformed)
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], HandshakeError> {
    let (taken, left) = rest.split_first_chunk().ok_or(HandshakeError::Malformed)?;
    *rest = left;
    Ok(*taken)
}

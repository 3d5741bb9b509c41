//! What the proofs are about.

use super::{Credential, Standing};
use crate::Version;

pub(super) enum Role {
    Joiner,
    Controller,
}

/// Everything that the two sides have said.
pub(super) struct Transcript<'a> {
    pub(super) credential: &'a Credential,
    pub(super) joiner: Said,
    pub(super) controller: Said,
}

/// What one side has said of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) nonce: [u8; 32],
    pub(super) version: Version,
    pub(super) standing: Standing,
}

impl Transcript<'_> {
    /// The proof of one side.
    pub(super) fn prove(&self, role: Role) -> [u8; 32] {
        self.with_parts(role, |parts| self.credential.prove(parts))
    }

    /// Whether this is the proof of one side.
    pub(super) fn verify(&self, role: Role, mac: &[u8; 32]) -> bool {
        self.with_parts(role, |parts| self.credential.verify(parts, mac))
    }

    /// All parts have a fixed length, so no two transcripts read the same.
    fn with_parts<R>(&self, role: Role, work: impl FnOnce(&[&[u8]]) -> R) -> R {
        let versions = [self.joiner.version, self.controller.version].map(|version| {
            let (major, minor, patch) = version.0;
            [major, minor, patch]
        });
        work(&[
            b"ipmb handshake 1",
            match role {
                Role::Joiner => b"joiner    ",
                Role::Controller => b"controller",
            },
            &self.joiner.nonce,
            &self.controller.nonce,
            &self.credential.identifier,
            versions.as_flattened(),
            &self.joiner.standing.to_bytes(),
            &self.controller.standing.to_bytes(),
        ])
    }
}

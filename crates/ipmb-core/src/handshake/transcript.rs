//! What the proofs are about.

use hmac::Hmac;
use sha2::Sha256;

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
    /// The proof of one side. All parts have a fixed length, so no two transcripts read the same.
    pub(super) fn mac(&self, role: Role) -> Hmac<Sha256> {
        let versions = [self.joiner.version, self.controller.version].map(|version| {
            let (major, minor, patch) = version.0;
            [major, minor, patch]
        });
        self.credential.mac(&[
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

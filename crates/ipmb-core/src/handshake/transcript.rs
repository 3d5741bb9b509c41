//! What the proofs are about.

use hmac::Hmac;
use sha2::Sha256;

use super::Credential;
use crate::Version;

pub(super) enum Role {
    Joiner,
    Controller,
}

/// Everything that the two sides have said, each with its nonce and its version.
pub(super) struct Transcript<'a> {
    pub(super) credential: &'a Credential,
    pub(super) joiner: ([u8; 32], Version),
    pub(super) controller: ([u8; 32], Version),
}

impl Transcript<'_> {
    /// The proof of one side. All parts have a fixed length, so no two transcripts read the same.
    pub(super) fn mac(&self, role: Role) -> Hmac<Sha256> {
        let versions = [self.joiner.1, self.controller.1].map(|version| {
            let (major, minor, patch) = version.0;
            [major, minor, patch]
        });
        self.credential.mac(&[
            b"ipmb handshake 1",
            match role {
                Role::Joiner => b"joiner    ",
                Role::Controller => b"controller",
            },
            &self.joiner.0,
            &self.controller.0,
            &self.credential.identifier,
            versions.as_flattened(),
        ])
    }
}

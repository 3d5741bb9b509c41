//! What an endpoint knows that lets it in.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{LIBRARY_VERSION, Standing, wiped::wiped};
use crate::Version;

/// What lets an endpoint onto a bus: the key derived from the token, and the digest of the identifier.
///
/// Neither can be got out of it again. There is one copy of the key, however often the credential is cloned.
/// It is wiped from memory with the last of the clones; what is made of it on the way to a proof, at once.
#[derive(Clone)]
pub struct Credential {
    key: Arc<Zeroizing<[u8; 32]>>,
    pub(super) identifier: [u8; 32],
    file_key: [u8; 16],
    pub(super) version: Version,
    pub(super) standing: Standing,
}

impl Credential {
    /// The credential of a bus. An empty token is one as well: it proves nothing, and the kernel's
    /// credentials are what is left.
    pub fn new(identifier: &str, token: &str) -> Self {
        let mut file_key = [0; 16];
        let name = Sha256::new()
            .chain_update(b"ipmb file name")
            .chain_update(identifier)
            .finalize();
        file_key
            .iter_mut()
            .zip(name)
            .for_each(|(to, from)| *to = from);
        Self {
            key: key_of(token),
            identifier: Sha256::new()
                .chain_update(b"ipmb identifier")
                .chain_update(identifier)
                .finalize()
                .into(),
            file_key,
            version: LIBRARY_VERSION,
            standing: Standing::default(),
        }
    }

    /// The same, for a library of another version: to try out how versions get along.
    pub fn with_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// The same, for use by this process: whoever passes the handshake on is found out. Without it nobody
    /// is.
    pub fn with_standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// What to derive file names from: a digest of the identifier, which may be of any length and
    /// contain anything.
    pub fn file_key(&self) -> [u8; 16] {
        self.file_key
    }

    #[cfg(test)]
    pub(super) fn of_key(key: [u8; 32]) -> Self {
        let key = Arc::new(Zeroizing::new(key));
        Self {
            key,
            ..Self::new("", "")
        }
    }

    /// The MAC of all parts under the key.
    pub(super) fn prove(&self, parts: &[&[u8]]) -> [u8; 32] {
        wiped(|| self.mac(parts).finalize().into_bytes().into())
    }

    /// Whether that is the MAC. How long it takes to tell says nothing about it.
    pub(super) fn verify(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        wiped(|| self.mac(parts).verify(mac.into()).is_ok())
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // A key that is shorter than the hash's block is padded with zeros (RFC 2104, section 2).
        let mut block = Zeroizing::new([0; 64]);
        let key = self.key.iter();
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

/// In its place from the beginning, so that it is in no other.
fn key_of(token: &str) -> Arc<Zeroizing<[u8; 32]>> {
    let mut key = Arc::new(Zeroizing::new([0; 32]));
    wiped(|| {
        let mut hash = Sha256::new();
        hash.update(b"ipmb token");
        hash.update(token);
        // Nobody else has it yet.
        if let Some(key) = Arc::get_mut(&mut key) {
            hash.finalize_into_reset((&mut **key).into());
        }
    });
    key
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

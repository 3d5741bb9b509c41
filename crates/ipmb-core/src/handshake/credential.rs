//! What an endpoint knows that lets it in.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{LIBRARY_VERSION, Standing};
use crate::Version;

/// What lets an endpoint onto a bus: the key derived from the token, and the digest of the identifier.
///
/// Neither can be got out of it again. The key, and what HMAC makes of it, is wiped from memory when it
/// is dropped.
#[derive(Clone)]
pub struct Credential {
    key: Zeroizing<[u8; 32]>,
    pub(super) identifier: [u8; 32],
    file_key: [u8; 16],
    pub(super) version: Version,
    pub(super) standing: Standing,
}

impl Credential {
    /// The credential of a bus. An empty token is one as well: it proves nothing, and the kernel's
    /// credentials are what is left.
    pub fn new(identifier: &str, token: &str) -> Self {
        let mut key = Sha256::new()
            .chain_update(b"ipmb token")
            .chain_update(token)
            .finalize();
        let mut file_key = [0; 16];
        let name = Sha256::new()
            .chain_update(b"ipmb file name")
            .chain_update(identifier)
            .finalize();
        file_key
            .iter_mut()
            .zip(name)
            .for_each(|(to, from)| *to = from);
        let credential = Self {
            key: Zeroizing::new(key.into()),
            identifier: Sha256::new()
                .chain_update(b"ipmb identifier")
                .chain_update(identifier)
                .finalize()
                .into(),
            file_key,
            version: LIBRARY_VERSION,
            standing: Standing::default(),
        };
        key.zeroize();
        credential
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
        let key = Zeroizing::new(key);
        Self {
            key,
            ..Self::new("", "")
        }
    }

    /// A MAC under the key.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // A key that is shorter than the hash's block is padded with zeros (RFC 2104, section 2).
        let mut block = Zeroizing::new([0; 64]);
        block
            .iter_mut()
            .zip(*self.key)
            .for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

//! The message of a soak.

use ipmb::Bytes;
use serde::{Deserialize, Serialize};

/// A message, which can be checked.
#[derive(Serialize, Deserialize, ipmb::TypeUuid)]
#[uuid = "3ea1a43c-2c7d-4d57-8d24-6ef0a4a7bb51"]
pub(super) struct Parcel {
    /// Which member sent it.
    pub(super) from: u64,
    /// How many it has sent to this receiver before; `None` if nobody counts them.
    pub(super) number: Option<u64>,
    /// What comes with it.
    pub(super) objects: u64,
    pub(super) regions: u64,
    /// Of the bytes.
    sum: u64,
    /// Lent, or not.
    bytes: Bytes,
}

impl Parcel {
    pub(super) fn new(from: u64, number: Option<u64>, bytes: Bytes) -> Self {
        Self {
            from,
            number,
            objects: 0,
            regions: 0,
            sum: ipmb_tests::checksum(&bytes),
            bytes,
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.sum == ipmb_tests::checksum(&self.bytes)
    }
}

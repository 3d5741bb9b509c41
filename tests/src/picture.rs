//! A message with bytes in it.

use ipmb::Bytes;
use serde::{Deserialize, Serialize};

/// A message with bytes in it, some of which are not lent.
#[derive(Serialize, Deserialize, ipmb::TypeUuid)]
#[uuid = "c1c6d8a0-7f41-4c7b-9b53-2b8a1a0c9d11"]
pub struct Picture {
    /// In pixels of one byte.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Never lent.
    pub note: Bytes,
    /// Row by row.
    pub pixels: Bytes,
}

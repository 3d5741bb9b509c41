//! Mapped memory as the lanes want it.

use ipmb_lane::Memory;
use ipmb_sys::Mapping;
use std::sync::Arc;

/// A mapping that stays as long as somebody uses it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mapping>);

impl Shared {
    pub(crate) fn new(mapping: Mapping) -> Self {
        Self(Arc::new(mapping))
    }
}

// SAFETY: the mapping is page-aligned and stays mapped, at the same place, until the last clone
// of the `Arc` is dropped. Read-only mappings are only given to readers.
unsafe impl Memory for Shared {
    fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

//! How lent bytes get into a payload and out of it.
//!
//! Serde knows nothing of messages. So while a payload is encoded, the thread knows of a list in
//! which [`Bytes`] that are lent enter themselves, and write no bytes in their place; while it is
//! decoded, they look into such a list. Their position counts all `Bytes` of the payload, so that
//! each finds its own.

use super::{Bytes, Pool, Views};
use ipmb_core::LoanRef;
use smallvec::SmallVec;
use std::{cell::Cell, ptr, sync::Arc, thread::LocalKey};

thread_local! {
    static COLLECTING: Cell<*mut Collector> = const { Cell::new(ptr::null_mut()) };
    static RESOLVING: Cell<*mut Resolver> = const { Cell::new(ptr::null_mut()) };
}

/// What a message refers to.
pub(crate) type Loans = SmallVec<[LoanRef; 2]>;

/// The lent bytes of a payload that is being encoded.
pub(crate) struct Collector {
    pool: *const Pool,
    position: u32,
    pub(crate) loans: Loans,
}

/// The lent bytes of a payload that is being decoded.
struct Resolver {
    views: Views,
    position: u32,
    /// How many decodings deep we are. Those within the first are of something else.
    depth: u32,
}

impl Collector {
    /// For an endpoint that lends from this pool, if it does.
    #[inline]
    pub(crate) fn new(pool: Option<&Arc<Pool>>) -> Self {
        Self {
            pool: pool.map_or(ptr::null(), Arc::as_ptr),
            position: 0,
            loans: Loans::new(),
        }
    }

    /// Enters what `encode` encodes.
    #[inline]
    pub(crate) fn collect<R>(&mut self, encode: impl FnOnce() -> R) -> R {
        if self.pool.is_null() {
            return encode();
        }
        exchange(&COLLECTING, self, encode)
    }

    fn enter(&mut self, bytes: &Bytes) -> bool {
        let position = self.position;
        self.position += 1;
        if self.loans.len() >= LoanRef::MOST {
            return false;
        }
        match bytes.reference(self.pool, position) {
            Some(reference) => {
                self.loans.push(reference);
                true
            }
            None => false,
        }
    }
}

/// Encodes something that is no message: nothing of it is entered.
#[inline]
pub(crate) fn not_collecting<R>(encode: impl FnOnce() -> R) -> R {
    match COLLECTING.get().is_null() {
        true => encode(),
        false => exchange(&COLLECTING, ptr::null_mut(), encode),
    }
}

/// Enters bytes into the list; `false`: they have to be written.
#[inline]
pub(super) fn collect(bytes: &Bytes) -> bool {
    let collector = COLLECTING.get();
    // SAFETY: it is null, or `Collector::collect` is up the stack of this thread, and leaves it to
    // us until we have returned.
    unsafe { collector.as_mut() }.is_some_and(|collector| collector.enter(bytes))
}

/// Decodes a payload with these views in it.
#[inline]
pub(crate) fn resolving<R>(views: Views, decode: impl FnOnce() -> R) -> R {
    if views.is_empty() {
        return decode();
    }
    let mut resolver = Resolver {
        views,
        position: 0,
        depth: 0,
    };
    exchange(&RESOLVING, &raw mut resolver, decode)
}

/// Decodes something with this crate's encoding, be it the payload or something in it.
#[inline]
pub(crate) fn decoding<R>(decode: impl FnOnce() -> R) -> R {
    let resolver = RESOLVING.get();
    if resolver.is_null() {
        return decode();
    }
    struct Depth(*mut Resolver);
    impl Depth {
        fn change(&self, by: i32) {
            // SAFETY: `resolving` is up the stack of this thread, and leaves it to us until we
            // have returned.
            if let Some(resolver) = unsafe { self.0.as_mut() } {
                resolver.depth = resolver.depth.saturating_add_signed(by);
            }
        }
    }
    impl Drop for Depth {
        fn drop(&mut self) {
            self.change(-1);
        }
    }
    let depth = Depth(resolver);
    depth.change(1);
    decode()
}

/// The view for the next bytes of the payload, if they are one.
#[inline]
pub(super) fn resolve() -> Option<Bytes> {
    // SAFETY: it is null, or `resolving` is up the stack of this thread, and leaves it to us until
    // we have returned.
    let resolver = unsafe { RESOLVING.get().as_mut() }.filter(|it| it.depth == 1)?;
    let position = resolver.position;
    resolver.position += 1;
    let index = resolver.views.iter().position(|(at, _)| *at == position)?;
    Some(resolver.views.swap_remove(index).1)
}

/// Has something in its place while `run` runs, also if that ends in a panic.
#[inline]
fn exchange<T, R>(
    place: &'static LocalKey<Cell<*mut T>>,
    it: *mut T,
    run: impl FnOnce() -> R,
) -> R {
    struct Guard<T: 'static>(&'static LocalKey<Cell<*mut T>>, *mut T);
    impl<T> Drop for Guard<T> {
        #[inline]
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _guard = Guard(place, place.replace(it));
    run()
}

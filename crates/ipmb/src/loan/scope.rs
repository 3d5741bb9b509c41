//! How lent bytes get into a payload and out of it.
//!
//! Serde knows nothing of messages. So while a payload is encoded, the thread keeps a list in which
//! [`Bytes`] that are lent enter themselves, and write no bytes in their place; while it is
//! decoded, they look into such a list. Their position counts all `Bytes` of the payload, so that
//! each finds its own.

use super::{Bytes, Pool, Views};
use ipmb_core::LoanRef;
use smallvec::SmallVec;
use std::{cell::RefCell, sync::Arc};

thread_local! {
    static COLLECTING: RefCell<Option<Collector>> = const { RefCell::new(None) };
    static RESOLVING: RefCell<Option<Resolver>> = const { RefCell::new(None) };
}

/// What a message refers to.
pub(crate) type Loans = SmallVec<[LoanRef; 2]>;

/// The lent bytes of a payload that is being encoded.
pub(crate) struct Collector {
    pool: *const Pool,
    position: u32,
    loans: Loans,
}

/// The lent bytes of a payload that is being decoded.
struct Resolver {
    views: Views,
    position: u32,
    /// How many decodings deep we are. Those within the first are of something else.
    depth: u32,
}

impl Collector {
    /// For an endpoint that lends from this pool.
    pub(crate) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::as_ptr(pool),
            position: 0,
            loans: Loans::new(),
        }
    }

    /// What was entered.
    #[inline]
    pub(crate) fn into_loans(this: Option<Self>) -> Loans {
        this.map_or_else(Loans::new, |collector| collector.loans)
    }

    /// Enters what `encode` encodes.
    pub(crate) fn collect<R>(this: &mut Option<Self>, encode: impl FnOnce() -> R) -> R {
        if this.is_none() {
            return encode();
        }
        let guard = Exchange::new(&COLLECTING, this);
        let result = encode();
        drop(guard);
        result
    }
}

/// Encodes something that is no message: nothing of it is entered.
#[inline]
pub(crate) fn not_collecting<R>(encode: impl FnOnce() -> R) -> R {
    if COLLECTING.with_borrow(Option::is_none) {
        return encode();
    }
    let mut nothing = None;
    let guard = Exchange::new(&COLLECTING, &mut nothing);
    let result = encode();
    drop(guard);
    result
}

/// Enters bytes into the list; `false`: they have to be written.
pub(super) fn collect(bytes: &Bytes) -> bool {
    COLLECTING.with_borrow_mut(|collector| {
        let Some(collector) = collector else {
            return false;
        };
        let position = collector.position;
        collector.position += 1;
        if collector.loans.len() >= LoanRef::MOST {
            return false;
        }
        let Some(reference) = bytes.reference(collector.pool, position) else {
            return false;
        };
        collector.loans.push(reference);
        true
    })
}

/// Decodes a payload with these views in it.
#[inline]
pub(crate) fn resolving<R>(views: Views, decode: impl FnOnce() -> R) -> R {
    if views.is_empty() {
        return decode();
    }
    let mut resolver = Some(Resolver {
        views,
        position: 0,
        depth: 0,
    });
    let guard = Exchange::new(&RESOLVING, &mut resolver);
    let result = decode();
    drop(guard);
    result
}

/// Decodes something with this crate's encoding, be it the payload or something in it.
#[inline]
pub(crate) fn decoding<R>(decode: impl FnOnce() -> R) -> R {
    if RESOLVING.with_borrow(Option::is_none) {
        return decode();
    }
    struct Depth;
    impl Depth {
        fn change(by: i32) {
            RESOLVING.with_borrow_mut(|resolver| {
                if let Some(resolver) = resolver {
                    resolver.depth = resolver.depth.saturating_add_signed(by);
                }
            });
        }
    }
    impl Drop for Depth {
        fn drop(&mut self) {
            Self::change(-1);
        }
    }
    Depth::change(1);
    let _depth = Depth;
    decode()
}

/// The view for the next bytes of the payload, if they are one.
pub(super) fn resolve() -> Option<Bytes> {
    RESOLVING.with_borrow_mut(|resolver| {
        let resolver = resolver.as_mut().filter(|it| it.depth == 1)?;
        let position = resolver.position;
        resolver.position += 1;
        let index = resolver.views.iter().position(|(at, _)| *at == position)?;
        Some(resolver.views.swap_remove(index).1)
    })
}

type Place<T> = &'static std::thread::LocalKey<RefCell<Option<T>>>;

/// Puts something in its place until it is dropped, also by a panic.
struct Exchange<'a, T: 'static> {
    place: Place<T>,
    other: &'a mut Option<T>,
}

impl<'a, T> Exchange<'a, T> {
    fn new(place: Place<T>, other: &'a mut Option<T>) -> Self {
        place.with_borrow_mut(|inside| std::mem::swap(inside, other));
        Self { place, other }
    }
}

impl<T> Drop for Exchange<'_, T> {
    fn drop(&mut self) {
        self.place
            .with_borrow_mut(|inside| std::mem::swap(inside, self.other));
    }
}

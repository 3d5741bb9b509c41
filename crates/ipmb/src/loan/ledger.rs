//! What one sender has lent us.

use super::Bytes;
use crate::memory::Shared;
use ipmb_core::LoanRef;
use ipmb_lane::{BiasedMutex, Borrower, LOAN_SLOTS, LOANS_LEN};
use ipmb_sys::{Access, ForkGuard, MapError, Mapping, OwnedObject, fork_generation, map_memory};
use smallvec::SmallVec;
use std::{io, os::fd::AsFd, sync::Arc};

/// The lent bytes of a message, by their positions in it.
pub(crate) type Views = SmallVec<[(u32, Bytes); 1]>;

/// What one sender has lent us: its segments, and where we give back.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Until it is mapped.
    lease: Option<OwnedObject>,
    returns: Option<Arc<Returns>>,
    segments: Vec<Option<Known>>,
}

struct Known {
    epoch: u32,
    /// Until it is mapped.
    object: Option<OwnedObject>,
    segment: Option<Arc<Segment>>,
}

/// What all views of one segment have in common, so that each counts one thing only.
struct Segment {
    memory: Mapping,
    returns: Arc<Returns>,
}

impl Known {
    #[inline]
    fn map(&mut self, returns: &Arc<Returns>) -> Result<(), MapError> {
        if let Some(object) = &self.object {
            let memory = map_memory(object.as_fd(), Access::ReadOnly, 1..=usize::MAX)?;
            let returns = Arc::clone(returns);
            self.segment = Some(Arc::new(Segment { memory, returns }));
            self.object = None;
        }
        Ok(())
    }
}

/// Where we give back what one sender has lent us.
struct Returns {
    borrower: BiasedMutex<Borrower<Shared>>,
    fork_generation: u32,
    _guard: ForkGuard,
    /// As long as it is open, the sender knows that we live.
    _lease: OwnedObject,
}

impl Returns {
    fn open(lease: &OwnedObject) -> Result<Borrower<Shared>, MapError> {
        let mapping = map_memory(lease.as_fd(), Access::ReadWrite, LOANS_LEN..=LOANS_LEN)?;
        Borrower::new(Shared::new(mapping)).map_err(|error| io::Error::other(error).into())
    }

    fn new(borrower: Borrower<Shared>, lease: OwnedObject) -> Self {
        Self {
            borrower: BiasedMutex::new(borrower),
            fork_generation: fork_generation(),
            _guard: ForkGuard::guard(lease.as_fd()),
            _lease: lease,
        }
    }
}

/// One loan, given back when it is dropped.
pub(crate) struct View {
    segment: Arc<Segment>,
    loan: u32,
}

impl Drop for View {
    #[inline]
    fn drop(&mut self) {
        let returns = &self.segment.returns;
        // A forked child has copies of what its parent gives back.
        if returns.fork_generation == fork_generation() {
            returns.borrower.lock().give_back(self.loan.into());
        }
    }
}

impl Ledger {
    /// Sees to it that what a message refers to is mapped; `false`: it has not been shown to us yet.
    ///
    /// # Errors
    ///
    /// [`MapError::Io`] for want of memory: try again. Others: no honest sender shows that.
    #[inline]
    pub(crate) fn prepare(&mut self, loan: &LoanRef) -> Result<bool, MapError> {
        self.meet()?;
        let Some(returns) = &self.returns else {
            return Ok(false);
        };
        match self.segments.get_mut(loan.slot as usize) {
            Some(Some(known)) if known.epoch == loan.epoch => known.map(returns).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Maps where we give back, if that was shown to us.
    #[inline]
    fn meet(&mut self) -> Result<(), MapError> {
        if let Some(lease) = self.lease.take() {
            match Returns::open(&lease) {
                Ok(borrower) => self.returns = Some(Arc::new(Returns::new(borrower, lease))),
                Err(error) => {
                    self.lease = Some(lease);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// What a message refers to. `None`: no honest sender refers to that.
    #[inline]
    pub(crate) fn view(&self, loan: &LoanRef) -> Option<(u32, Bytes)> {
        let known = self.segments.get(loan.slot as usize)?.as_ref()?;
        let segment = known.segment.as_ref()?;
        let memory = &segment.memory;
        let offset = usize::try_from(loan.offset).ok()?;
        let len = usize::try_from(loan.len).ok()?;
        if offset > memory.len() || len > memory.len() - offset {
            return None;
        }
        let view = View {
            segment: Arc::clone(segment),
            loan: loan.loan,
        };
        // SAFETY: within the mapping, by the lines above.
        let data = unsafe { memory.as_ptr().add(offset) };
        Some((loan.position, Bytes::of_view(view, data, len)))
    }

    /// The sender shows us where to give back.
    pub(crate) fn open(&mut self, lease: OwnedObject) {
        self.lease = Some(lease);
    }

    /// The sender shows us a segment. It is mapped at once, so that its descriptor is not kept.
    ///
    /// # Errors
    ///
    /// No honest sender shows that. (For want of memory it is mapped later.)
    pub(crate) fn show(
        &mut self,
        slot: u32,
        epoch: u32,
        object: OwnedObject,
    ) -> Result<(), MapError> {
        let slot = slot as usize;
        if slot >= LOAN_SLOTS {
            return Ok(());
        }
        if slot >= self.segments.len() {
            self.segments.resize_with(slot + 1, || None);
        }
        let mut known = Known {
            epoch,
            object: Some(object),
            segment: None,
        };
        let mapped = match (self.meet(), &self.returns) {
            (Ok(()), Some(returns)) => known.map(returns),
            // An honest sender shows first where to give back.
            (Ok(()), None) => return Err(MapError::NotMemory),
            (Err(error), _) => Err(error),
        };
        self.segments[slot] = Some(known);
        match mapped {
            Ok(()) | Err(MapError::Io(_)) => Ok(()),
            error => error,
        }
    }

    /// How many loans are kept: each has a share of its segment.
    pub(crate) fn kept(&self) -> usize {
        let segments = self.segments.iter().flatten();
        let segments = segments.filter_map(|known| known.segment.as_ref());
        segments.map(|segment| Arc::strong_count(segment) - 1).sum()
    }

    /// Lets go of segments that the sender uses no more.
    pub(crate) fn tidy(&mut self) {
        let Some(returns) = &self.returns else { return };
        let mut borrower = returns.borrower.lock();
        if !borrower.has_changed() {
            return;
        }
        for (slot, known) in (0..).zip(&mut self.segments) {
            let is_retired = |it: &Known| borrower.is_retired(slot, it.epoch.into());
            if known.as_ref().is_some_and(is_retired) {
                *known = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loan::{Loan, Pool};
    use std::fs::File;

    /// A pool that is closed in the end, as that of an endpoint is.
    struct Lender(Arc<Pool>);

    impl Drop for Lender {
        fn drop(&mut self) {
            self.0.close();
        }
    }

    /// What a sender lends, shown as far as a ledger needs it.
    fn lent() -> (Lender, Bytes, LoanRef, Ledger) {
        let pool = Lender(Pool::new());
        let mut loan = Loan::take(&pool.0, 10_000).unwrap();
        loan.fill(7);
        let bytes = loan.freeze();
        let reference = bytes.reference(Arc::as_ptr(&pool.0), 0).unwrap();
        let (_, lease) = pool.0.open_account().unwrap();
        let mut ledger = Ledger::default();
        assert!(!ledger.prepare(&reference).unwrap());
        ledger.open(lease);
        assert!(!ledger.prepare(&reference).unwrap());
        (pool, bytes, reference, ledger)
    }

    #[test]
    fn views_are_of_what_was_lent() {
        let (pool, bytes, reference, mut ledger) = lent();
        let segment = pool.0.segment(reference.slot).unwrap();
        let object = segment.object.as_fd().try_clone_to_owned().unwrap();
        ledger.show(reference.slot, segment.epoch, object).unwrap();
        assert!(ledger.prepare(&reference).unwrap());
        let (_, view) = ledger.view(&reference).unwrap();
        assert_eq!(view, *bytes);
        assert_ne!(view.as_ptr(), bytes.as_ptr());
        let memory = 256 << 10;
        for (offset, len) in [(0, memory + 1), (memory, 1), (memory + 1, 0), (1, u64::MAX)] {
            let beyond = LoanRef {
                offset,
                len,
                ..reference
            };
            assert!(ledger.view(&beyond).is_none());
        }
        let other_epoch = LoanRef {
            epoch: reference.epoch + 1,
            ..reference
        };
        assert!(!ledger.prepare(&other_epoch).unwrap());
        let no_slot = LoanRef {
            slot: u32::MAX,
            ..reference
        };
        assert!(!ledger.prepare(&no_slot).unwrap());
    }

    #[test]
    fn what_is_no_memory_is_not_mapped() {
        let (_pool, _bytes, reference, mut ledger) = lent();
        let null = File::open("/dev/null").unwrap();
        let nowhere = ledger.show(u32::MAX, 1, null.try_clone().unwrap().into());
        assert!(nowhere.is_ok());
        let shown = ledger.show(reference.slot, reference.epoch, null.into());
        assert!(matches!(shown, Err(MapError::NotMemory)));
    }
}

//! What one receiver has of what an endpoint lends.

use crate::memory::Shared;
use ipmb_lane::{LOANS_LEN, Lender, MOST_LOANS};
use ipmb_sys::{OwnedObject, Purpose, create_memory, is_leased, lease};
use std::{io, os::fd::AsFd};

pub(super) struct Account {
    returns: Lender<Shared>,
    /// The memory of `returns`. Who has its lease may still give something back.
    object: OwnedObject,
    /// How often the receiver has which chunk. What it says is believed as far as this.
    given: Vec<u32>,
    count: usize,
    /// Nothing more is given.
    pub(super) closed: bool,
}

impl Account {
    /// A new one, and the lease for its receiver.
    pub(super) fn open() -> io::Result<(Self, OwnedObject)> {
        let (object, mapping) = create_memory(Purpose::Shared, LOANS_LEN, false)?;
        let lease = lease(object.as_fd())?;
        let account = Self {
            returns: Lender::new(Shared::new(mapping)).map_err(io::Error::other)?,
            object,
            given: Vec::new(),
            count: 0,
            closed: false,
        };
        Ok((account, lease))
    }

    #[inline]
    pub(super) fn has_room_for(&self, count: usize) -> bool {
        !self.closed && self.count + count <= MOST_LOANS
    }

    /// How many the receiver has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub(super) fn give(&mut self, loan: u32) {
        let index = loan as usize;
        if index >= self.given.len() {
            self.given.resize(index + 1, 0);
        }
        self.given[index] += 1;
        self.count += 1;
    }

    /// Something that the receiver has given back.
    #[inline]
    pub(super) fn next_return(&mut self) -> Option<u32> {
        let loan = u32::try_from(self.returns.next_return()?).ok()?;
        self.take_back(loan).then_some(loan)
    }

    /// `false`: the receiver does not have that.
    pub(super) fn take_back(&mut self, loan: u32) -> bool {
        match self.given.get_mut(loan as usize) {
            Some(count) if *count > 0 => {
                *count -= 1;
                self.count -= 1;
                true
            }
            _ => false,
        }
    }

    /// Whether nothing can come back any more: nothing is out, or the receiver is dead.
    pub(super) fn is_over(&self) -> bool {
        self.closed && (self.count == 0 || !is_leased(self.object.as_fd()))
    }

    /// All that the receiver has.
    pub(super) fn all(&mut self) -> impl Iterator<Item = u32> + use<> {
        let given = std::mem::take(&mut self.given).into_iter().enumerate();
        given.flat_map(|(loan, count)| std::iter::repeat_n(loan as u32, count as usize))
    }

    /// The segments of a slot up to this epoch are gone.
    pub(super) fn retire(&mut self, slot: u32, epoch: u32) {
        self.returns.retire(slot, epoch.into());
    }
}

#[cfg(test)]
mod tests {
    use super::Account;
    use crate::memory::Shared;
    use ipmb_lane::{Borrower, LOANS_LEN};
    use ipmb_sys::{Access, map_memory};
    use std::os::fd::AsFd;

    #[test]
    fn what_a_receiver_does_not_have_does_not_come_back() {
        let (mut account, lease) = Account::open().unwrap();
        let memory = map_memory(lease.as_fd(), Access::ReadWrite, LOANS_LEN..=LOANS_LEN).unwrap();
        let mut receiver = Borrower::new(Shared::new(memory)).unwrap();
        account.give(3);
        for lie in [4, u64::MAX, 1 << 32 | 3] {
            receiver.give_back(lie);
            assert_eq!(account.next_return(), None);
        }
        receiver.give_back(3);
        receiver.give_back(3);
        assert_eq!(account.next_return(), Some(3));
        assert_eq!(account.next_return(), None);
    }

    #[test]
    fn all_comes_back_from_the_dead() {
        let (mut account, lease) = Account::open().unwrap();
        for loan in [2, 5, 5] {
            account.give(loan);
        }
        account.closed = true;
        assert!(!account.is_over());
        drop(lease);
        assert!(account.is_over());
        assert_eq!(account.all().collect::<Vec<_>>(), [2, 5, 5]);
    }
}

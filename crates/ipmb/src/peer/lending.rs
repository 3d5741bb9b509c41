//! What one receiver has been lent, and shown to that end.

use super::pair::PairPacket;
use crate::loan::{AccountId, Loans, Pool};
use ipmb_core::LoanRef;
use ipmb_sys::{Channel, ChannelSendError, OwnedObject};
use std::{os::fd::AsFd, sync::Arc};

/// What one receiver has been lent, and shown to that end.
#[derive(Default)]
pub(super) struct Lending {
    account: Option<(Arc<Pool>, AccountId)>,
    /// What the receiver needs to give back, until it is sent.
    lease: Option<OwnedObject>,
    /// The epoch of the segment that the receiver knows, by slots.
    known: Vec<u32>,
}

/// Why something is not lent.
pub(super) enum NotLent {
    /// The channel is full: try again when the receiver has read from it.
    Full,
    /// The receiver is gone.
    Gone,
    /// It has to be copied.
    Copy,
}

/// Loans for a receiver that are not in a lane yet. Dropped, they come back.
pub(crate) struct Given {
    pool: Arc<Pool>,
    account: AccountId,
    loans: Loans,
}

impl Lending {
    /// Sees to it that the receiver can have these, and has them.
    #[inline]
    pub(super) fn lend(
        &mut self,
        pool: &Arc<Pool>,
        channel: &Channel,
        loans: &[LoanRef],
    ) -> Result<AccountId, NotLent> {
        if self.account.is_none() || self.lease.is_some() {
            self.open(pool, channel)?;
        }
        for loan in loans {
            if self.known.get(loan.slot as usize) != Some(&loan.epoch) {
                self.show(pool, channel, loan.slot)?;
            }
        }
        match &self.account {
            Some((pool, account)) if pool.give(*account, loans) => Ok(*account),
            _ => Err(NotLent::Copy),
        }
    }

    /// As [`lend`](Self::lend), for a message that takes more than one step.
    pub(super) fn give(
        &mut self,
        pool: &Arc<Pool>,
        channel: &Channel,
        loans: &[LoanRef],
    ) -> Result<Given, NotLent> {
        Ok(Given {
            account: self.lend(pool, channel, loans)?,
            pool: Arc::clone(pool),
            loans: loans.into(),
        })
    }

    /// How many loans the receiver has.
    pub(super) fn given(&self) -> usize {
        let account = self.account.as_ref();
        account.map_or(0, |(pool, account)| pool.given(*account))
    }

    /// The receiver is never going to have this after all.
    pub(super) fn recall(&self, loan: u32) {
        if let Some((pool, account)) = &self.account {
            pool.recall(*account, loan);
        }
    }

    /// The receiver gets nothing any more.
    pub(super) fn close(&mut self) {
        self.lease = None;
        if let Some((pool, account)) = self.account.take() {
            pool.close_account(account);
        }
    }

    #[cold]
    fn open(&mut self, pool: &Arc<Pool>, channel: &Channel) -> Result<(), NotLent> {
        if self.account.is_none() {
            let (account, lease) = pool.open_account().map_err(|error| {
                tracing::debug!(%error, "nothing can be lent to a receiver: it gets copies");
                NotLent::Copy
            })?;
            self.account = Some((Arc::clone(pool), account));
            self.lease = Some(lease);
        }
        if let Some(lease) = &self.lease {
            send(channel, PairPacket::Account, lease)?;
            self.lease = None;
        }
        Ok(())
    }

    #[cold]
    fn show(&mut self, pool: &Arc<Pool>, channel: &Channel, slot: u32) -> Result<(), NotLent> {
        let segment = pool.segment(slot).ok_or(NotLent::Copy)?;
        let epoch = segment.epoch;
        send(
            channel,
            PairPacket::Segment { slot, epoch },
            &segment.object,
        )?;
        let slot = slot as usize;
        if slot >= self.known.len() {
            self.known.resize(slot + 1, 0);
        }
        self.known[slot] = epoch;
        Ok(())
    }
}

impl Given {
    /// They are in the lane now.
    pub(super) fn sent(mut self) -> Loans {
        std::mem::take(&mut self.loans)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        for loan in &self.loans {
            self.pool.recall(self.account, loan.loan);
        }
    }
}

fn send(channel: &Channel, packet: PairPacket, object: &OwnedObject) -> Result<(), NotLent> {
    match channel.try_send(&packet.encode(), &[object.as_fd()]) {
        Ok(()) => Ok(()),
        Err(ChannelSendError::Full | ChannelSendError::TooManyInFlight) => Err(NotLent::Full),
        Err(ChannelSendError::Disconnected) => Err(NotLent::Gone),
        Err(error) => {
            tracing::debug!(%error, "memory cannot be shown to a receiver: it gets a copy");
            Err(NotLent::Copy)
        }
    }
}

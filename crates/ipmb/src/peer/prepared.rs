//! Sending bytes that are encoded already, when it is certain that they can be sent.

use super::{Line, lanes::Cargo, lending::Given};
use crate::{endpoint::AtOnce, loan::Pool};
use ipmb_core::{LaneMessage, LoanRef, MessageHeader, Overflow, PLAIN_HEADER_LEN, TypeId};
use std::sync::Arc;

/// A lane with a ring of so many bytes is worth waiting for, a moment, before it is replaced by a
/// larger one: that would not stay in the cache.
const CACHED: usize = 1 << 20;

impl Line {
    /// Whether the lane is full, and may have room again in a moment.
    #[cold]
    pub(crate) fn is_worth_waiting(&self) -> bool {
        let full = |lane: &ipmb_lane::Producer<_>| lane.capacity() >= CACHED && !lane.is_closed();
        self.limits.overflow == Overflow::Block && !self.busy && self.lanes.last().is_some_and(full)
    }

    /// Whether there is room for many messages, or none to wait for.
    pub(crate) fn is_roomy(&self) -> bool {
        let roomy = |lane: &ipmb_lane::Producer<_>| lane.room_for_all(lane.capacity() / 4);
        (self.lanes.last().is_none_or(roomy) || !self.is_worth_waiting())
            && (self.may_float() || self.lanes.is_half_way())
    }

    /// Whether loans can be sent now.
    #[inline]
    pub(super) fn may_lend(&mut self) -> bool {
        if !self.may_float() {
            self.tidy();
        }
        self.confirmed && self.may_float()
    }

    /// When to send what cannot be sent because so much shared memory is unread.
    #[cold]
    pub(crate) fn when_may_lend(&self) -> AtOnce {
        let soon = self.limits.overflow == Overflow::Block && self.confirmed && !self.may_float();
        match soon {
            true => AtOnce::Full,
            false => AtOnce::Not,
        }
    }

    /// Lends the receiver what a [prepared](Self::prepare_for) message refers to, if that can be done
    /// now.
    pub(crate) fn lend_prepared(&mut self, pool: &Arc<Pool>, loans: &[LoanRef]) -> Option<Given> {
        if !self.may_lend() {
            return None;
        }
        self.lending.give(pool, &self.reach.channel, loans).ok()
    }

    /// Makes sure that a message without attachments, of a type and of so many bytes, can be
    /// [written](Self::write_prepared) now. Returns the tag for it.
    pub(crate) fn prepare_for(&mut self, type_id: TypeId, len: usize) -> Option<u16> {
        if self.busy {
            return None;
        }
        if self.lanes.untidy() {
            self.tidy();
        }
        self.lanes.last()?;
        let tag = self.tag(type_id);
        let lane = self.lanes.last_mut()?;
        let header = if tag == LaneMessage::TAG {
            PLAIN_HEADER_LEN
        } else {
            0
        };
        let room = !lane.is_closed() && lane.reserve(header + len).is_ok();
        room.then_some(tag)
    }

    /// Sends a message for which everything is [prepared](Self::prepare_for). False: it is not.
    pub(crate) fn write_prepared(
        &mut self,
        tag: u16,
        type_id: TypeId,
        payload: [&[u8]; 2],
        given: Option<Given>,
    ) -> bool {
        let Some(lane) = self.lanes.last_mut() else {
            return false;
        };
        let header = MessageHeader::encode_fixed(type_id);
        let header = if tag == LaneMessage::TAG {
            &header[..]
        } else {
            &[]
        };
        let len = header.len() + payload[0].len() + payload[1].len();
        let Ok(mut grant) = lane.reserve(len) else {
            return false;
        };
        let mut parts = [header, payload[0], payload[1]].into_iter();
        if !parts.all(|part| grant.write(part).is_ok()) {
            return false;
        }
        match given {
            None => grant.commit(tag),
            Some(given) => {
                grant.commit(tag | LoanRef::TAG_BIT);
                for loan in given.sent() {
                    self.lanes.note(loan.len, Cargo::Loan(loan.loan));
                }
            }
        }
        self.published();
        true
    }
}

//! The short way of a message with attachments: in one step, or not at all.

use super::{
    line::{Line, encode},
    outbound::{Outbound, Progress},
    pair::PairPacket,
};
use crate::{Message, MessageBox, endpoint::AtOnce, loan::Pool};
use ipmb_core::LaneMessage;
use ipmb_sys::{BorrowedObject, MAX_OBJECTS};
use smallvec::SmallVec;
use std::sync::Arc;

impl Line {
    /// Sends a message with attachments, if there is room for it in the lane and its objects fit into
    /// one packet that the channel takes now: the payload is encoded straight into the lane, and
    /// published when the objects are on their way.
    #[inline(never)]
    pub(crate) fn send_attached<T: MessageBox>(
        &mut self,
        message: &Message<T>,
        limit: u64,
        pool: Option<&Arc<Pool>>,
    ) -> AtOnce {
        if self.busy || !self.confirmed {
            return AtOnce::Not;
        }
        if self.lanes.untidy() {
            self.tidy();
        }
        if !message.memory_regions.is_empty() && !self.may_float() {
            return self.when_may_lend();
        }
        let limit = self.limits.message.min(limit);
        let outbound = Outbound::of_attachments(message);
        let bytes = message.payload.as_bytes_message();
        if bytes.is_some_and(|bytes| bytes.size() as u64 > limit) {
            return AtOnce::Not;
        }
        // Whatever goes wrong in here, the long way comes upon it, too, and says what it is.
        let mut progress = Progress::default();
        if self.number(&outbound, &mut progress).is_err() {
            return AtOnce::Not;
        }
        let beside: SmallVec<[BorrowedObject<'_>; 8]> = progress.beside(&outbound).collect();
        let guess = progress.body(&outbound).len() + bytes.map_or(self.guess, |it| it.data.len());
        let Some(lane) = self.lanes.last_mut() else {
            return AtOnce::Not;
        };
        if beside.len() > MAX_OBJECTS || lane.is_closed() || guess > lane.max_frame() {
            return AtOnce::Not;
        }
        let Ok(mut grant) = lane.reserve_from(guess) else {
            return AtOnce::Not;
        };
        for piece in progress.body(&outbound).0 {
            if grant.write(piece).is_err() {
                return AtOnce::Not;
            }
        }
        let start = grant.written();
        let encoded = match bytes {
            Some(bytes) => {
                let data = grant.write(&bytes.data);
                let tail = data.and_then(|()| grant.write(&bytes.tail()));
                tail.is_ok().then_some(grant)
            }
            // What has both attachments and loans takes the long way.
            None => encode(&message.payload, grant, pool)
                .filter(|(_, loans)| loans.is_empty())
                .map(|(grant, _)| grant),
        };
        let Some(grant) = encoded else {
            return AtOnce::Not;
        };
        if (grant.written() - start) as u64 > limit {
            return AtOnce::Not;
        }
        if !beside.is_empty() {
            let sequence = progress.sequence;
            let packet = PairPacket::Objects { sequence }.encode();
            if self.reach.channel.try_send(&packet, &beside).is_err() {
                return AtOnce::Not;
            }
        }
        grant.commit(LaneMessage::TAG);
        drop(beside);
        self.attachments += 1;
        self.note_shown(&progress);
        self.lanes.note_flights(&mut progress.flights);
        self.published();
        AtOnce::Sent
    }

    /// Gives a message the next number, which is not taken yet.
    pub(super) fn number(
        &self,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
    ) -> std::io::Result<()> {
        progress.prepare(outbound, self.attachments, |block| {
            self.known
                .get(&block.id())
                .is_some_and(|weak| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(block)))
        })
    }
}

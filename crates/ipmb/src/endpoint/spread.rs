//! Sending one message to several at once.

use super::{AtOnce, Endpoint};
use crate::{
    Message, MessageBox, Sink,
    bytes::RAW,
    loan::{Collector, Pool},
    peer::{Contact, Given, Peer},
};
use ipmb_core::{LoanRef, Selector, TypeId};
use ipmb_lane::BiasedGuard;
use smallvec::SmallVec;
use std::{sync::Arc, time::Instant};

/// So many receivers are served at once; a message to more of them takes the long way.
const MOST: usize = 256;

/// Where a message is encoded before it is sent to several.
#[derive(Default)]
pub(crate) struct Scratch {
    bytes: Vec<u8>,
    /// So many messages are not even encoded here, because one was too large for this way.
    skip: u32,
}

/// After a message that was too large, so many take the long way without another try.
const SKIP: u32 = 63;
/// Larger ones are too large for any lane's frames, more or less, and not worth keeping memory for.
const LARGE: usize = 1 << 20;

/// A receiver that has room.
struct Ready<'a> {
    contact: BiasedGuard<'a, Contact>,
    /// The tag of the message there.
    tag: u16,
}

/// What is not in a message, but lent.
type Lent<'a> = Option<(&'a Arc<Pool>, &'a [LoanRef])>;

impl Endpoint {
    /// Sends a message to several that are known and have room, all of them: encoded once, and
    /// written once for each.
    #[inline(never)]
    pub(super) fn spread<T: MessageBox>(
        &self,
        message: &Message<T>,
        peers: &[Arc<Peer>],
        scratch: &mut Scratch,
    ) -> AtOnce {
        if let Some(bytes) = message.payload.as_bytes_message() {
            let parts = [&bytes.data[..], &bytes.tail()];
            return self.spread_bytes(peers, RAW, parts, bytes.size(), None);
        }
        if let Some(skip) = scratch.skip.checked_sub(1) {
            scratch.skip = skip;
            return AtOnce::Not;
        }
        let bytes = &mut scratch.bytes;
        bytes.clear();
        let pool = self.loans.get();
        let mut sink = Sink::buffer(bytes, Collector::new(pool));
        if message.payload.encode_into(&mut sink).is_err() {
            return AtOnce::Not;
        }
        let loans = sink.into_loans();
        if bytes.len() > LARGE {
            *scratch = Scratch {
                bytes: Vec::new(),
                skip: SKIP,
            };
            return AtOnce::Not;
        }
        let (type_id, size) = (message.payload.uuid(), bytes.len());
        match pool.filter(|_| !loans.is_empty()) {
            None => self.spread_bytes(peers, type_id, [bytes, &[]], size, None),
            Some(pool) => {
                LoanRef::append_all(&loans, bytes);
                self.spread_bytes(peers, type_id, [bytes, &[]], size, Some((pool, &loans)))
            }
        }
    }

    /// `size` is what the payload counts for where there are limits.
    fn spread_bytes(
        &self,
        peers: &[Arc<Peer>],
        type_id: TypeId,
        payload: [&[u8]; 2],
        size: usize,
        lent: Lent<'_>,
    ) -> AtOnce {
        let limit = |peer: &Arc<Peer>| peer.limits.message.min(self.options.message_limit);
        if peers.len() > MOST || peers.iter().any(|peer| size as u64 > limit(peer)) {
            return AtOnce::Not;
        }
        let len = payload[0].len() + payload[1].len();
        // Not collected: what is made in place need not be moved there.
        let mut all = SmallVec::<[Ready<'_>; 16]>::new();
        let mut given = SmallVec::<[Given; 1]>::new();
        for peer in peers {
            match get_ready(peer, type_id, len, lent, &mut given) {
                Ok(ready) => all.push(ready),
                Err(not_all) => return not_all,
            }
        }
        let mut given = given.into_iter();
        for it in &mut all {
            let sent = match &mut *it.contact {
                Contact::Line(line) => line.write_prepared(it.tag, type_id, payload, given.next()),
                _ => false,
            };
            debug_assert!(sent, "there was room, and nobody else has written since");
        }
        AtOnce::Sent
    }

    /// Waits a moment for room at all whom a selector means: until it is worth trying again, or for as
    /// long as a receiver would spin. Whoever has to make room may need this very processor, so it
    /// is offered all the time.
    #[cold]
    pub(crate) fn await_room(&self, selector: &Selector) {
        let start = Instant::now();
        while start.elapsed() < self.options.spin {
            std::thread::yield_now();
            let mut routing = self.routing();
            let roomy = |peer: &Arc<Peer>| match peer.try_contact().as_deref() {
                Some(Contact::Line(line)) => line.is_roomy(),
                _ => true,
            };
            match routing.targets(selector) {
                Some((peers, _)) if !peers.iter().all(roomy) => {}
                _ => return,
            }
        }
    }
}

/// A receiver, if a message of so many bytes can be written now, and what it is lent. As long as its contact is
/// held nobody else writes.
#[inline]
fn get_ready<'p>(
    peer: &'p Arc<Peer>,
    type_id: TypeId,
    len: usize,
    lent: Lent<'_>,
    given: &mut SmallVec<[Given; 1]>,
) -> Result<Ready<'p>, AtOnce> {
    let Some(mut contact) = peer.try_contact() else {
        return Err(AtOnce::Not);
    };
    let Contact::Line(line) = &mut *contact else {
        return Err(AtOnce::Not);
    };
    let Some(tag) = line.prepare_for(type_id, len) else {
        return Err(match line.is_worth_waiting() {
            true => AtOnce::Full,
            false => AtOnce::Not,
        });
    };
    if let Some((pool, loans)) = lent {
        match line.lend_prepared(pool, loans) {
            Some(it) => given.push(it),
            None => return Err(line.when_may_lend()),
        }
    }
    Ok(Ready { contact, tag })
}

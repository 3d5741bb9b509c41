//! Introductions: two members get to know each other.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::smallvec;

use super::{Attachment, CloseReason, ConnId, Controller, Output, Side};
use crate::{EndpointId, ToMember};

/// Who has been introduced to whom by this controller, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    // By either of the two.
    made: BTreeMap<EndpointId, BTreeMap<EndpointId, Made>>,
    // By a peer that has yet to register again: who asked for it.
    waiting: BTreeMap<EndpointId, BTreeSet<EndpointId>>,
    pairs: u64,
}

/// What was made for one endpoint and another.
#[derive(Debug, Clone, Copy, Default)]
struct Made {
    /// How often the one asked for the other.
    times: u32,
    /// The newest pair, whoever asked.
    newest: u64,
}

impl Controller {
    pub(super) fn introduce(
        &mut self,
        asker: EndpointId,
        peer: EndpointId,
        after: u64,
        out: &mut Vec<Output>,
    ) {
        let Some(&conn) = self.live.get(&asker) else {
            return;
        };
        let Some(&peer_conn) = self.live.get(&peer) else {
            if self.absent.contains(peer) {
                self.introductions.wait(asker, peer);
            } else {
                self.send(conn, &ToMember::NoSuchPeer { peer }, out);
            }
            return;
        };
        // Both may have asked at the same time; one pair is enough.
        let made = self.introductions.made(asker, peer);
        if made.newest > after {
            return;
        }
        let limit = self.settings.quotas.introductions_per_pair;
        if made.times >= limit {
            let reason = CloseReason::TooManyIntroductions { peer, limit };
            return self.close(conn, reason, out);
        }
        let pair = self.introductions.make(asker, peer);
        // The peer first: whoever has asked may send and be gone in no time, and then it must not be that
        // we die with the peer's end in our hands.
        self.tell_of(asker, peer_conn, (pair, Side::Peer), out);
        self.tell_of(peer, conn, (pair, Side::Asker), out);
    }

    /// A member that others have been waiting for has registered.
    pub(super) fn introduce_waiting(&mut self, peer: EndpointId, out: &mut Vec<Output>) {
        for asker in self.introductions.take_waiting(peer) {
            self.introduce(asker, peer, 0, out);
        }
    }

    /// A member that others have been waiting for does not come.
    pub(super) fn disappoint_waiting(&mut self, peer: EndpointId, out: &mut Vec<Output>) {
        for asker in self.introductions.take_waiting(peer) {
            self.tell(asker, &ToMember::NoSuchPeer { peer }, out);
        }
    }

    fn tell_of(
        &self,
        peer: EndpointId,
        conn: ConnId,
        (pair, side): (u64, Side),
        out: &mut Vec<Output>,
    ) {
        let Some(member) = self.directory.get(peer) else {
            return;
        };
        let message = ToMember::Introduced {
            peer,
            pid: member.pid,
            uid: member.uid,
            limits: member.limits,
            introduced_by_you: side == Side::Asker,
            pair,
        };
        let attach = smallvec![
            Attachment::PairEnd { pair, side },
            Attachment::Doorbell(peer),
            Attachment::InboxPage(peer),
            Attachment::ReadySet(peer),
        ];
        self.send_with(conn, &message, attach, out);
    }
}

impl Introductions {
    fn made(&self, asker: EndpointId, peer: EndpointId) -> Made {
        let peers = self.made.get(&asker);
        let made = peers.and_then(|peers| peers.get(&peer));
        made.copied().unwrap_or_default()
    }

    fn make(&mut self, asker: EndpointId, peer: EndpointId) -> u64 {
        self.pairs += 1;
        for (one, other, times) in [(peer, asker, 0), (asker, peer, 1)] {
            let made = self.made.entry(one).or_default().entry(other).or_default();
            made.times = made.times.saturating_add(times);
            made.newest = self.pairs;
        }
        self.pairs
    }

    fn wait(&mut self, asker: EndpointId, peer: EndpointId) {
        self.waiting.entry(peer).or_default().insert(asker);
    }

    fn take_waiting(&mut self, peer: EndpointId) -> BTreeSet<EndpointId> {
        self.waiting.remove(&peer).unwrap_or_default()
    }

    /// The member has left.
    pub(super) fn forget(&mut self, id: EndpointId) {
        for peer in self.made.remove(&id).unwrap_or_default().into_keys() {
            if let Some(peers) = self.made.get_mut(&peer) {
                peers.remove(&id);
            }
        }
        self.waiting.retain(|_, askers| {
            askers.remove(&id);
            !askers.is_empty()
        });
    }
}

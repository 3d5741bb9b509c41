//! Introductions: two members get to know each other.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::smallvec;

use super::{Attachment, CloseReason, ConnId, Controller, Output, Side};
use crate::{EndpointId, ToMember};

/// Who has been introduced to whom by this controller, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    // By either of the two: how often it asked for the other.
    made: BTreeMap<EndpointId, BTreeMap<EndpointId, u32>>,
    // By a peer that has yet to register again: who asked for it.
    waiting: BTreeMap<EndpointId, BTreeSet<EndpointId>>,
    pairs: u64,
}

impl Controller {
    pub(super) fn introduce(
        &mut self,
        asker: EndpointId,
        peer: EndpointId,
        again: bool,
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
        if self.introductions.knows(asker, peer) && !again {
            return;
        }
        let limit = self.settings.quotas.introductions_per_pair;
        if self.introductions.times(asker, peer) >= limit {
            let reason = CloseReason::TooManyIntroductions { peer, limit };
            return self.close(conn, reason, out);
        }
        let pair = self.introductions.make(asker, peer);
        self.tell_of(peer, conn, (pair, Side::Asker), out);
        self.tell_of(asker, peer_conn, (pair, Side::Peer), out);
    }

    /// A member that others have been waiting for has registered.
    pub(super) fn introduce_waiting(&mut self, peer: EndpointId, out: &mut Vec<Output>) {
        for asker in self.introductions.take_waiting(peer) {
            self.introduce(asker, peer, false, out);
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
    fn knows(&self, one: EndpointId, other: EndpointId) -> bool {
        self.made
            .get(&one)
            .is_some_and(|peers| peers.contains_key(&other))
    }

    fn times(&self, asker: EndpointId, peer: EndpointId) -> u32 {
        let peers = self.made.get(&asker);
        peers
            .and_then(|peers| peers.get(&peer))
            .copied()
            .unwrap_or(0)
    }

    fn make(&mut self, asker: EndpointId, peer: EndpointId) -> u64 {
        let peers = self.made.entry(peer).or_default();
        peers.entry(asker).or_insert(0);
        let peers = self.made.entry(asker).or_default();
        let times = peers.entry(peer).or_insert(0);
        *times = times.saturating_add(1);
        self.pairs += 1;
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

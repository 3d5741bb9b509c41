//! What an endpoint uses of the bus.

use super::{Endpoint, ParkState};
use crate::{
    BusUsage, Quota, ReceiverUsage,
    peer::{Contact, Peer},
};
use ipmb_core::{Directory, ParkUsage, Quotas, Whose};
use std::sync::Arc;

impl Endpoint {
    /// What this endpoint uses of the bus. The limits are those of all controllers of this version.
    pub(crate) fn usage(&self) -> BusUsage {
        let quotas = Quotas::default();
        let mut routing = self.routing();
        let left = routing.refresh();
        let (all, of_user) = self.shares(routing.directory());
        let peers = routing.peers_and_pids();
        drop(routing);
        self.part_from(left);
        let (parked, limits) = (self.parked(), quotas.parked_by(Whose::Endpoint));
        let directory = quotas.directory_bytes as u64;
        let quota = |used: usize, limit: usize| Quota::new(used as u64, limit as u64);
        BusUsage {
            endpoints: quota(all.endpoints, quotas.members),
            endpoints_of_user: quota(of_user.endpoints, quotas.members_per_user),
            directory: Quota::new(all.bytes, directory),
            directory_of_user: Quota::new(of_user.bytes, directory / quotas.share_per_user.max(1)),
            label: quota(self.options.label.size_in_bytes(), quotas.label_bytes),
            parked_messages: Quota::new(parked.messages, limits.messages),
            parked_bytes: Quota::new(parked.bytes, limits.bytes),
            parked_objects: Quota::new(parked.objects, limits.objects),
            receivers: peers.iter().filter_map(usage_of).collect(),
        }
    }

    /// What everybody has of the directory, and what this endpoint's user has.
    fn shares(&self, directory: &Directory) -> (Share, Share) {
        let uid = directory.get(self.id).map(|member| member.uid);
        let (mut all, mut of_user) = (Share::default(), Share::default());
        for member in directory.iter() {
            let bytes = member.cost() as u64;
            all.add(bytes);
            if Some(member.uid) == uid {
                of_user.add(bytes);
            }
        }
        (all, of_user)
    }

    /// What of ours is parked, or about to be.
    fn parked(&self) -> ParkUsage {
        let link = self.link();
        let entries = link.parked.entries.values();
        let parked =
            entries.filter(|message| matches!(message.state, ParkState::Asked | ParkState::Held));
        parked.fold(ParkUsage::default(), |sum, message| {
            sum.with(message.cost())
        })
    }
}

/// What a peer has of us, if it was sent something.
fn usage_of((peer, pid): &(Arc<Peer>, u32)) -> Option<ReceiverUsage> {
    match &*peer.contact() {
        Contact::Line(line) | Contact::Asked(Some(line)) => Some(ReceiverUsage {
            pid: *pid,
            ..line.usage()
        }),
        Contact::None | Contact::Asked(None) | Contact::Gone => None,
    }
}

#[derive(Default)]
struct Share {
    endpoints: usize,
    bytes: u64,
}

impl Share {
    fn add(&mut self, bytes: u64) {
        self.endpoints += 1;
        self.bytes += bytes;
    }
}

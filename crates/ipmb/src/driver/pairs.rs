//! The channels to other endpoints: who is introduced to whom, and who is gone.

use super::{Driver, token};
use crate::{
    endpoint::reach,
    inbox::{Arrival, PairId},
    peer::{Contact, Line, PairPacket},
};
use ipmb_core::{EndpointId, ReceiveLimits, ToController};
use ipmb_sys::{Channel, Doorbell, Event, Interest, OwnedObject};
use std::{collections::HashMap, io, os::fd::AsFd, sync::Arc};

/// All channels to other endpoints.
#[derive(Default)]
pub(super) struct Pairs {
    made: PairId,
    pairs: HashMap<PairId, Pair>,
}

struct Pair {
    peer: EndpointId,
    channel: Arc<Channel>,
    stage: Stage,
}

/// What is waited for on a channel.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Stage {
    /// The other side's word that it has its end.
    Hello,
    /// Its first lane. From then on, the lanes say when there is something to read.
    Lane,
    /// Its end.
    End,
}

impl Driver {
    pub(super) fn introduced(
        &mut self,
        id: EndpointId,
        pid: u32,
        limits: ReceiveLimits,
        objects: [OwnedObject; 4],
    ) {
        match self.meet(id, pid, limits, objects) {
            Ok(()) => {
                self.endpoint.link().wanted.remove(&id);
            }
            Err(error) => {
                tracing::warn!(%id, pid, %error, "an introduction cannot be used");
                return self.endpoint.report_lack(error);
            }
        }
        self.endpoint.room.announce();
    }

    pub(super) fn no_such_peer(&mut self, id: EndpointId) {
        self.endpoint.link().wanted.remove(&id);
        let peer = self.endpoint.routing().known(id);
        match peer {
            Some(peer) => self.endpoint.lose(&peer),
            None => self.endpoint.inbox.arrive(Arrival::Gone(id)),
        }
        self.endpoint.room.announce();
    }

    pub(super) fn pair_event(&mut self, number: PairId, event: &Event) {
        if event.readable {
            self.read_pair(number);
        }
        if event.hangup {
            // The greeting and the first lane may both have been waiting.
            self.read_pair(number);
            self.pair_ended(number);
        }
    }

    fn meet(
        &mut self,
        id: EndpointId,
        pid: u32,
        limits: ReceiveLimits,
        objects: [OwnedObject; 4],
    ) -> io::Result<()> {
        let [channel, doorbell, page, ready] = objects;
        let channel = Arc::new(Channel::from_object(channel)?);
        let doorbell = Doorbell::from_object(doorbell)?;
        let reach = reach(Arc::clone(&channel), doorbell, page.as_fd(), ready.as_fd())?;
        self.pairs.made += 1;
        let number = self.pairs.made;
        self.poller
            .add(channel.as_fd(), token::PAIR | number, Interest::Readable)?;
        // A new channel takes one small packet.
        let _ = channel.try_send(&PairPacket::Hello.encode(), &[]);
        self.endpoint
            .inbox
            .arrive(Arrival::Sender(number, id, pid, Arc::clone(&channel)));
        let pair = Pair {
            peer: id,
            channel,
            stage: Stage::Hello,
        };
        self.pairs.pairs.insert(number, pair);
        let mut routing = self.endpoint.routing();
        // The directory shows whoever is introduced, unless he has left again.
        let left = routing.refresh();
        let peer = routing.peer(id);
        drop(routing);
        self.endpoint.part_from(left);
        let Some(peer) = peer else { return Ok(()) };
        let mut contact = peer.contact();
        *contact = match std::mem::take(&mut *contact) {
            Contact::None | Contact::Asked(None) => {
                Contact::Line(Box::new(Line::new(reach, limits, false)))
            }
            Contact::Asked(Some(mut line)) | Contact::Line(mut line) => {
                line.reconnect(reach, self.endpoint.room.doorbell());
                Contact::Line(line)
            }
            Contact::Gone => Contact::Gone,
        };
        Ok(())
    }

    fn read_pair(&mut self, number: PairId) {
        let Some(pair) = self.pairs.pairs.get_mut(&number) else {
            return;
        };
        let channel = Arc::clone(&pair.channel);
        match pair.stage {
            Stage::Hello => {
                let mut bytes = Vec::new();
                if channel.try_recv_plain(&mut bytes).is_err() {
                    return;
                }
                pair.stage = Stage::Lane;
                if PairPacket::parse(&bytes) == Some(PairPacket::Hello) {
                    self.confirmed(number);
                }
            }
            Stage::Lane => {
                pair.stage = Stage::End;
                let token = token::PAIR | number;
                let _ = self
                    .poller
                    .modify(channel.as_fd(), token, Interest::HangupOnly);
                self.endpoint.inbox.arrive(Arrival::ChannelNews(number));
            }
            Stage::End => {}
        }
    }

    fn confirmed(&mut self, number: PairId) {
        let Some(pair) = self.pairs.pairs.get(&number) else {
            return;
        };
        let peer = self.endpoint.routing().known(pair.peer);
        if let Some(peer) = peer
            && let Contact::Line(line) = &mut *peer.contact()
            && Arc::ptr_eq(line.channel(), &pair.channel)
        {
            line.confirm();
        }
        self.endpoint.room.announce();
    }

    fn pair_ended(&mut self, number: PairId) {
        let Some(pair) = self.pairs.pairs.remove(&number) else {
            return;
        };
        let _ = self.poller.remove(pair.channel.as_fd());
        self.endpoint.inbox.arrive(Arrival::ChannelNews(number));
        self.endpoint.inbox.arrive(Arrival::SenderGone(number));
        let peer = self.endpoint.routing().known(pair.peer);
        let Some(peer) = peer else {
            return self.endpoint.inbox.arrive(Arrival::Gone(pair.peer));
        };
        let mut contact = peer.contact();
        let ours = match &*contact {
            Contact::Line(line) => Arc::ptr_eq(line.channel(), &pair.channel),
            _ => false,
        };
        if !ours {
            return;
        }
        if pair.stage != Stage::Hello {
            drop(contact);
            return self.endpoint.lose(&peer);
        }
        // Its end was lost with a controller before the peer had it: nothing that we sent has
        // been read, and all of it will be, over a new channel.
        if let Contact::Line(line) = std::mem::take(&mut *contact) {
            *contact = Contact::Asked(Some(line));
        }
        drop(contact);
        let mut link = self.endpoint.link();
        link.wanted.insert(pair.peer, true);
        let message = ToController::Introduce {
            peer: pair.peer,
            again: true,
        };
        self.endpoint.tell_controller(&mut link, &message);
    }
}

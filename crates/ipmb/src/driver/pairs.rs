//! The channels to other endpoints: who is introduced to whom, and who is gone.

use super::{Driver, LACK_TIME, token};
use crate::{
    endpoint::SharedPages,
    inbox::{Arrival, PairId},
    peer::{Contact, Line, PairPacket},
};
use ipmb_core::{EndpointId, ReceiveLimits};
use ipmb_sys::{Channel, ChannelSendError, Doorbell, Event, Interest, OwnedObject, is_lack};
use std::{collections::HashMap, io, os::fd::AsFd, sync::Arc, time::Instant};

/// All channels to other endpoints.
#[derive(Default)]
pub(super) struct Pairs {
    made: PairId,
    pairs: HashMap<PairId, Pair>,
    /// For which there was no memory, and when there may be some.
    unused: Vec<Introduction>,
    pub(super) try_again: Option<Instant>,
}

/// What the controller tells of a peer.
pub(super) struct Introduction {
    pub(super) id: EndpointId,
    pub(super) pid: u32,
    pub(super) limits: ReceiveLimits,
    /// The controller's number of the pair; 0 if that is not our controller any more.
    pub(super) pair: u64,
    /// We have asked for it: then the peer was told of it before.
    pub(super) asked: bool,
    /// A channel, and of the peer its doorbell, the page that says whether it sleeps, its ready set.
    pub(super) objects: [OwnedObject; 4],
}

struct Pair {
    peer: EndpointId,
    /// As in [`Introduction`].
    number: u64,
    asked: bool,
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
    pub(super) fn introduced(&mut self, introduction: Introduction) {
        let id = introduction.id;
        // What an earlier controller made and we have not used is closed, which shows the peer that it
        // was not: then it offers its lanes anew, and only then.
        self.pairs.unused.retain(|it| it.id != id);
        match self.meet(introduction) {
            Ok(()) => {
                self.endpoint.link().wanted.remove(&id);
            }
            Err((introduction, error)) if is_lack(&error) => {
                let pid = introduction.pid;
                tracing::warn!(%id, pid, %error, "an introduction cannot be used yet");
                // Nobody would introduce us again.
                self.pairs.unused.push(introduction);
                let again = Instant::now() + LACK_TIME;
                self.pairs.try_again.get_or_insert(again);
                return self.endpoint.report_lack(error);
            }
            // What the peer gave the controller is not what it should be: nobody else is to pay.
            Err((introduction, error)) => {
                let pid = introduction.pid;
                tracing::warn!(%id, pid, %error, "a peer is cut off");
                self.endpoint.link().wanted.remove(&id);
                let peer = self.endpoint.routing().peer(id);
                if let Some(peer) = peer {
                    self.endpoint.lose(&peer);
                }
            }
        }
        self.endpoint.room.announce();
    }

    /// Uses the introductions for which something was lacking.
    pub(super) fn use_introductions(&mut self) {
        if self.pairs.try_again.is_some_and(|at| Instant::now() >= at) {
            self.pairs.try_again = None;
            for introduction in std::mem::take(&mut self.pairs.unused) {
                self.introduced(introduction);
            }
        }
    }

    pub(super) fn no_such_peer(&mut self, id: EndpointId) {
        self.endpoint.link().wanted.remove(&id);
        let peer = self.endpoint.routing().known(id);
        match peer {
            Some(peer) => self.endpoint.lose(&peer),
            None => self.endpoint.announce_departure([id]),
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

    fn meet(&mut self, introduction: Introduction) -> Result<(), (Introduction, io::Error)> {
        let number = self.pairs.made + 1;
        let shared = match self.prepare(number, &introduction.objects) {
            Ok(shared) => shared,
            Err(error) => return Err((introduction, error)),
        };
        let Introduction {
            id,
            pid,
            limits,
            pair: pair_number,
            asked,
            objects: [channel, doorbell, page, ready],
        } = introduction;
        let channel = Channel::from(channel);
        // Who never hears it holds objects back for ever.
        if let Some(error) = refused(channel.try_send(&PairPacket::Hello.encode(), &[])) {
            let _ = self.poller.remove(channel.as_fd());
            let introduction = Introduction {
                id,
                pid,
                limits,
                pair: pair_number,
                asked,
                objects: [channel.into(), doorbell, page, ready],
            };
            return Err((introduction, error));
        }
        self.pairs.made = number;
        tracing::debug!(%id, pid, pair_number, "introduced");
        let channel = Arc::new(channel);
        let reach = shared.reach(Arc::clone(&channel), Doorbell::from(doorbell));
        self.endpoint
            .inbox
            .arrive(Arrival::Sender(number, id, pid, Arc::clone(&channel)));
        self.read_greetings(id);
        let pair = Pair {
            peer: id,
            number: pair_number,
            asked,
            channel,
            stage: Stage::Hello,
        };
        self.pairs.pairs.insert(number, pair);
        let mut routing = self.endpoint.routing();
        // The directory shows whoever is introduced, unless he has left again.
        let left = routing.refresh();
        let (deaf, peer) = (routing.is_deaf(id), routing.peer(id));
        drop(routing);
        self.endpoint.part_from(left);
        if deaf {
            self.endpoint.announce_departure([id]);
        }
        let Some(peer) = peer else { return Ok(()) };
        let mut contact = peer.contact();
        *contact = match std::mem::take(&mut *contact) {
            Contact::None | Contact::Asked(None) => {
                Contact::Line(Box::new(Line::new(reach, limits, false)))
            }
            // The peer has our lanes already, and reads them where it found them.
            Contact::Line(line) if line.is_confirmed() => Contact::Line(line),
            Contact::Asked(Some(mut line)) | Contact::Line(mut line) => {
                line.reconnect(reach, self.endpoint.room.doorbell());
                Contact::Line(line)
            }
            Contact::Gone => Contact::Gone,
        };
        Ok(())
    }

    /// All that can fail.
    fn prepare(&self, number: PairId, objects: &[OwnedObject; 4]) -> io::Result<SharedPages> {
        let [channel, doorbell, page, ready] = objects;
        Channel::examine(channel.as_fd())?;
        Doorbell::examine(doorbell.as_fd())?;
        let shared = SharedPages::map(page.as_fd(), ready.as_fd())?;
        let token = token::PAIR | number;
        self.poller
            .add(channel.as_fd(), token, Interest::Readable)?;
        Ok(shared)
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

    /// Whether something was sent to somebody whose end of the channel may still be in the hands of the
    /// controller. If that died, only we could have another one made.
    pub(super) fn has_unsafe_lanes(&self) -> bool {
        let pairs = self.pairs.pairs.values();
        let mut unheard = pairs.filter(|it| it.stage == Stage::Hello && !it.asked);
        unheard.any(|pair| {
            let peer = self.endpoint.routing().known(pair.peer);
            peer.is_some_and(|peer| match &*peer.contact() {
                Contact::Line(line) => {
                    Arc::ptr_eq(line.channel(), &pair.channel) && line.has_been_used()
                }
                _ => false,
            })
        })
    }

    /// Looks whether a peer has said on an earlier channel that it has its end.
    fn read_greetings(&mut self, peer: EndpointId) {
        let pairs = self.pairs.pairs.iter();
        let silent = pairs.filter(|(_, it)| it.peer == peer && it.stage == Stage::Hello);
        for number in silent.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.read_pair(number);
        }
    }

    /// Tells the receiving side who is gone, behind what they have sent before.
    pub(super) fn tell_of_departures(&mut self) {
        let departed = std::mem::take(&mut self.endpoint.link().departed);
        for id in departed {
            self.read_greetings(id);
            let pairs = self.pairs.pairs.iter();
            // As long as nothing has come, not even a greeting, there is no lane behind it.
            let heard = pairs.filter(|(_, it)| it.peer == id && it.stage != Stage::Hello);
            for (&number, _) in heard {
                self.endpoint.inbox.arrive(Arrival::ChannelNews(number));
            }
            self.endpoint.inbox.arrive(Arrival::Gone(id));
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
        let (id, unused) = (pair.peer, pair.stage == Stage::Hello);
        tracing::debug!(%id, unused, "a channel has ended");
        let _ = self.poller.remove(pair.channel.as_fd());
        self.endpoint.inbox.arrive(Arrival::ChannelNews(number));
        self.endpoint.inbox.arrive(Arrival::SenderGone(number));
        let peer = self.endpoint.routing().known(pair.peer);
        let Some(peer) = peer else {
            return self.endpoint.announce_departure([pair.peer]);
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
        self.endpoint.seek(pair.peer, pair.number);
    }
}

impl Pairs {
    /// From now on another controller numbers the pairs that it makes.
    pub(super) fn forget_numbers(&mut self) {
        self.pairs.values_mut().for_each(|pair| pair.number = 0);
        self.unused.iter_mut().for_each(|it| it.pair = 0);
    }
}

/// Why a packet could not be sent, if it may be sent later.
fn refused(sent: Result<(), ChannelSendError>) -> Option<io::Error> {
    match sent {
        // That the peer is gone will show.
        Ok(()) | Err(ChannelSendError::Disconnected) => None,
        Err(ChannelSendError::Io(error)) => Some(error),
        Err(_) => Some(io::ErrorKind::WouldBlock.into()),
    }
}

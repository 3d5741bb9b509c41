//! What the controller says, and what we tell it.

use super::{Driver, GREETING_TIME, LACK_TIME, Later, Phase, pairs::Introduction, token};
use crate::{
    endpoint::{Bearings, Fate, Flushed, ParkState, Status},
    inbox::{Arrival, Delivery},
    memory::Shared,
};
use ipmb_core::{Body, EndpointId, ParkId, Quotas, Survivor, ToController, ToMember};
use ipmb_lane::{LogReader, Memory, Word};
use ipmb_sys::{
    Access, ChannelRecvError, Event, Interest, OwnedObject, duplicate, is_immutable, is_lack,
    map_memory, page_size,
};
use std::{io, os::fd::AsFd, sync::Arc, time::Instant};

/// So many parked messages that came lately are remembered.
const REMEMBERED: usize = 1024;
/// Directories may be of any size that a controller chooses, within reason.
const LARGEST_DIRECTORY: usize = 1 << 30;

/// What a controller gave us when it welcomed us.
pub(super) struct Membership {
    pub(super) order: u64,
    pub(super) generation: u64,
    pub(super) directory: OwnedObject,
    pub(super) beacon: OwnedObject,
}

impl Driver {
    pub(super) fn control_event(&mut self, event: &Event) {
        if event.writable {
            self.woken();
        }
        if event.hangup && self.untold.is_some() {
            // What could not be used yet is of no use any more.
            return self.lose_controller();
        }
        while self.endpoint.link().pipe.is_some() {
            match self.read_packet() {
                Ok(true) => {}
                Ok(false) => break,
                Err(()) => return self.lose_controller(),
            }
        }
    }

    pub(super) fn read_control_again(&mut self) {
        if let Some((message, objects)) = self.untold.take()
            && self.told(message, objects).is_err()
        {
            return self.lose_controller();
        }
        let link = self.endpoint.link();
        if let Some(pipe) = &link.pipe
            && self.untold.is_none()
        {
            let channel = pipe.channel().as_fd();
            let _ = self
                .poller
                .modify(channel, token::CONTROL, Interest::Readable);
        }
    }

    /// Asks to be a member, or to be one again.
    pub(super) fn register(&mut self) {
        match self.registration() {
            Ok((message, objects)) => {
                let message = message.encode();
                let (bytes, limit) = (message.len(), Quotas::default().message_bytes);
                if bytes > limit {
                    // A controller would cut us off without a word, again and again.
                    return self.end(Fate::Refused(format!(
                        "the label is too long: {bytes} bytes, and the most is {limit}"
                    )));
                }
                let mut link = self.endpoint.link();
                let sent = link.pipe.as_mut().map(|pipe| pipe.send(&message, objects));
                drop(link);
                match sent {
                    Some(Ok(Flushed::All)) => {}
                    Some(Ok(_)) => self.woken(),
                    _ => self.lose_controller(),
                }
            }
            Err(error) => self.lack(error),
        }
    }

    pub(super) fn stop_receiving(&mut self) {
        let mut link = self.endpoint.link();
        if link.deaf && matches!(self.phase, Phase::Member) {
            let askers = link.askers.clone();
            self.endpoint
                .tell_controller(&mut link, &ToController::StopReceiving { askers });
            link.deaf = false;
        }
    }

    fn registration(&self) -> io::Result<(ToController, Vec<OwnedObject>)> {
        let (doorbell, page, ready) = self.endpoint.inbox.objects();
        let mut objects = vec![
            doorbell.try_clone()?.into_object(),
            duplicate(page)?,
            duplicate(ready)?,
        ];
        let survivor = match &self.membership {
            None => None,
            Some(membership) => {
                objects.push(duplicate(&membership.beacon)?);
                objects.push(duplicate(&membership.directory)?);
                Some(Survivor {
                    order: membership.order,
                    generation: membership.generation,
                    delivered: self.delivered.iter().copied().collect(),
                })
            }
        };
        let message = ToController::Register {
            id: self.endpoint.id,
            label: self.endpoint.options.label.clone(),
            limits: self.endpoint.limits(),
            receiving: !self.endpoint.inbox.is_closed(),
            survivor,
        };
        Ok((message, objects))
    }

    /// Reads one packet; `Ok(false)`: there is none. `Err`: the controller is gone.
    fn read_packet(&mut self) -> Result<bool, ()> {
        if self.untold.is_some() {
            return Ok(false);
        }
        let Some(channel) = self
            .endpoint
            .link()
            .pipe
            .as_ref()
            .map(|pipe| Arc::clone(pipe.channel()))
        else {
            return Ok(false);
        };
        let (mut bytes, mut objects) = (Vec::new(), Vec::new());
        match channel.try_recv(&mut bytes, &mut objects) {
            Ok(()) => {}
            Err(ChannelRecvError::Empty) => return Ok(false),
            Err(ChannelRecvError::NoDescriptors) => {
                self.starve(ipmb_sys::out_of_descriptors());
                return Ok(false);
            }
            Err(ChannelRecvError::Io(error)) => {
                self.starve(error);
                return Ok(false);
            }
            Err(_) => return Err(()),
        }
        if self.handshake_packet(&bytes) {
            return Ok(!matches!(self.phase, Phase::Ended));
        }
        let count = objects.len();
        self.objects.append(&mut objects);
        match self.assembler.push(&bytes, count) {
            Ok(None) => Ok(true),
            Ok(Some((message, count))) => {
                let rest = self.objects.split_off(count.min(self.objects.len()));
                let objects = std::mem::replace(&mut self.objects, rest);
                let message = ToMember::decode(&message).map_err(|_| ())?;
                if message.objects() != objects.len() {
                    return Err(());
                }
                self.told(message, objects)?;
                Ok(!matches!(self.phase, Phase::Ended))
            }
            Err(error) => {
                tracing::warn!(%error, "the controller does not keep to the protocol");
                Err(())
            }
        }
    }

    /// Nothing more can be read until there are free descriptors. Waking for it would be busy
    /// waiting.
    fn starve(&mut self, error: io::Error) {
        tracing::warn!(%error, "what the controller says cannot be read");
        if self.membership.is_none() {
            return self.end(Fate::from(&error));
        }
        let link = self.endpoint.link();
        if let Some(pipe) = &link.pipe {
            let channel = pipe.channel().as_fd();
            let _ = self
                .poller
                .modify(channel, token::CONTROL, Interest::HangupOnly);
        }
        drop(link);
        self.endpoint.report_lack(error);
        self.read_again = Some(Instant::now() + LACK_TIME);
        if let Some((at, Later::GiveUpGreeting)) = &mut self.later {
            *at = Instant::now() + GREETING_TIME;
        }
    }

    /// Something cannot be used for want of something. It is kept, and so is its place: the connection is not
    /// given up for that, as nobody could reach us until we had another.
    fn put_off(&mut self, message: ToMember, objects: Vec<OwnedObject>, error: io::Error) {
        if !is_lack(&error) {
            return self.lack(error);
        }
        self.untold = Some((message, objects));
        self.starve(error);
    }

    fn told(&mut self, message: ToMember, mut objects: Vec<OwnedObject>) -> Result<(), ()> {
        match &message {
            ToMember::Deliver { id, .. } => tracing::debug!(?id, "a parked message comes"),
            ToMember::Parked { .. }
            | ToMember::Routable { .. }
            | ToMember::ParkRefused { .. }
            | ToMember::Delivered { .. }
            | ToMember::Expired { .. } => {
                tracing::debug!(said = ?message, "the controller speaks of a parked message");
            }
            _ => {}
        }
        match message {
            ToMember::Deliver { id, ref body, .. } => match read_body(body, &mut objects) {
                Ok(body) => {
                    self.deliveries.push(Delivery::new(id, body, objects));
                    // It was on its way to another, who died, and its sender has left.
                    if matches!(self.phase, Phase::Member) {
                        let ids = self.take_deliveries();
                        let mut link = self.endpoint.link();
                        self.endpoint
                            .tell_controller(&mut link, &ToController::Took { ids });
                    }
                }
                Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                    self.put_off(message, objects, error);
                }
                Err(error) => {
                    tracing::warn!(%error, "a parked message cannot be read");
                }
            },
            ToMember::Welcome {
                order, generation, ..
            } => {
                let [directory, beacon] = <[_; 2]>::try_from(objects).map_err(|_| ())?;
                let membership = Membership {
                    order,
                    generation,
                    directory,
                    beacon,
                };
                if let Err((membership, error)) = self.welcome(membership) {
                    let objects = vec![membership.directory, membership.beacon];
                    self.put_off(message, objects, error);
                }
            }
            ToMember::Refused(reason) => self.end(Fate::Refused(reason.to_string())),
            ToMember::Introduced {
                peer,
                pid,
                limits,
                pair,
                introduced_by_you,
                ..
            } => {
                let objects = <[_; 4]>::try_from(objects).map_err(|_| ())?;
                self.introduced(Introduction {
                    id: peer,
                    pid,
                    limits,
                    pair,
                    asked: introduced_by_you,
                    objects,
                });
            }
            ToMember::NoSuchPeer { peer } => self.no_such_peer(peer),
            ToMember::Parked { sequence } => self.settle(sequence, Some(ParkState::Held)),
            ToMember::Routable { sequence, last } => {
                self.settle(sequence, Some(ParkState::Routable { last }));
            }
            ToMember::ParkRefused { sequence, reason } => {
                self.refuse(sequence, reason.to_string());
            }
            ToMember::Delivered { sequence, to } => self.delivered(sequence, to),
            ToMember::Expired { sequence } => self.expire(sequence),
            ToMember::Left if self.has_said_farewell => self.phase = Phase::Ended,
            _ => return Err(()),
        }
        Ok(())
    }

    fn welcome(&mut self, membership: Membership) -> Result<(), (Membership, io::Error)> {
        let bearings = bearings(&membership);
        let bearings = bearings.and_then(|it| self.rendezvous.enlist().map(|()| it));
        let bearings = match bearings {
            Ok(bearings) => bearings,
            Err(error) => return Err((membership, error)),
        };
        let ids = self.take_deliveries();
        let (order, generation) = (membership.order, membership.generation);
        tracing::debug!(order, generation, "the endpoint is on the bus");
        let returns = self.membership.replace(membership).is_some();
        self.phase = Phase::Member;
        self.has_said_farewell = false;
        self.looks = 0;
        self.rebuffed = false;
        self.doubt.settle();
        self.later = None;
        self.stop_watching();
        let left = self.endpoint.routing().install(bearings);
        self.endpoint.part_from(left);
        let mut link = self.endpoint.link();
        if link.leaving && !returns {
            // Its `join` has given up: what was parked for it is for somebody else.
            drop(link);
            self.phase = Phase::Ended;
            return Ok(());
        }
        link.status = Status::Member;
        if !ids.is_empty() {
            self.endpoint
                .tell_controller(&mut link, &ToController::Took { ids });
        }
        // It has not introduced us to anybody yet, and counts for itself.
        self.pairs.forget_numbers();
        link.wanted.values_mut().for_each(|after| *after = 0);
        let wanted: Vec<EndpointId> = link.wanted.keys().copied().collect();
        for peer in wanted {
            let message = ToController::Introduce { peer, after: 0 };
            self.endpoint.tell_controller(&mut link, &message);
        }
        self.endpoint.park_again(&mut link);
        drop(link);
        self.stop_receiving();
        self.endpoint.link_changed().notify_all();
        self.endpoint.room.announce();
        Ok(())
    }

    /// What was parked and is for us arrives. Returns what the controller is to be told of that.
    fn take_deliveries(&mut self) -> Vec<ParkId> {
        let ids: Vec<ParkId> = self.deliveries.iter().map(|delivery| delivery.id).collect();
        for delivery in self.deliveries.drain(..) {
            self.endpoint.inbox.arrive(Arrival::Parked(delivery));
        }
        self.delivered.extend(&ids);
        while self.delivered.len() > REMEMBERED {
            self.delivered.pop_front();
        }
        ids
    }
}

/// Maps what the controller gave us.
fn bearings(membership: &Membership) -> io::Result<Bearings> {
    let directory = map(&membership.directory, Access::ReadOnly, LARGEST_DIRECTORY)?;
    let beacon = map(&membership.beacon, Access::ReadWrite, page_size())?;
    Ok(Bearings {
        generation: membership.generation,
        log: LogReader::attach(directory).map_err(io::Error::other)?,
        beacon: Word::new(beacon, 0).map_err(io::Error::other)?,
    })
}

pub(super) fn map(object: &OwnedObject, access: Access, most: usize) -> io::Result<Shared> {
    let mapping = map_memory(object.as_fd(), access, page_size()..=most)?;
    Ok(Shared::new(mapping))
}

/// The body of a parked message. Where it is an object, that is the first, which is taken away.
fn read_body(body: &Body, objects: &mut Vec<OwnedObject>) -> io::Result<Vec<u8>> {
    match body {
        Body::Inline(bytes) => Ok(bytes.clone()),
        Body::Object { len } => {
            let object = objects.first().ok_or(io::ErrorKind::InvalidData)?;
            let bytes = copy_body(object, *len)?;
            objects.remove(0);
            Ok(bytes)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Copies the body of a parked message, which nobody can change any more.
fn copy_body(object: &OwnedObject, len: u64) -> io::Result<Vec<u8>> {
    if !is_immutable(object.as_fd())? {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidData)?;
    // No more than was counted: what is too large to be mapped shall keep nobody from joining.
    let size = len.max(1);
    let mapping = map_memory(object.as_fd(), Access::ReadOnly, size..=size)?;
    let memory = Shared::new(mapping);
    let mut bytes = vec![0; len];
    // SAFETY: the mapping has at least `len` bytes (it was checked when it was made), and the
    // object is sealed against writing, so that nobody changes them meanwhile.
    unsafe { std::ptr::copy_nonoverlapping(memory.as_ptr(), bytes.as_mut_ptr(), len) };
    Ok(bytes)
}

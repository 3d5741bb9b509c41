//! Parking: a message waits with the controller for somebody it is for.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::{Attachment, CloseReason, ConnId, Controller, Output};
use crate::{
    Body, EndpointId, Label, LabelOp, MAX_INLINE_BODY, ParkId, ParkRefusal, Selector, SelectorMode,
    ToMember, parking::Parked,
};

/// A message that its sender wants parked.
pub(super) struct ToPark {
    pub(super) sequence: u64,
    pub(super) selector: Selector,
    pub(super) over: u64,
    pub(super) body: Body,
    pub(super) objects: u32,
}

/// Who a parked message could go to.
enum Receivers {
    Nobody,
    /// Somebody who may have it already, from the last controller.
    Unknown,
    /// Members; this one joined first.
    First(EndpointId),
}

impl Controller {
    pub(super) fn park(
        &mut self,
        conn: ConnId,
        sender: EndpointId,
        message: ToPark,
        now: u64,
        out: &mut Vec<Output>,
    ) {
        let ToPark {
            sequence,
            selector,
            over,
            body,
            objects,
        } = message;
        if let Body::Inline(bytes) = &body
            && bytes.len() > MAX_INLINE_BODY
        {
            let reason = CloseReason::BodyTooLarge {
                len: bytes.len() as u64,
                limit: MAX_INLINE_BODY as u64,
            };
            return self.close(conn, reason, out);
        }
        let id = ParkId { sender, sequence };
        if let Some(to) = self.delivered.get(id) {
            return self.send(conn, &ToMember::Delivered { sequence, to }, out);
        }
        if self.parking.get(id).is_some() {
            // The copy that is here stands.
            return self.send(conn, &ToMember::Parked { sequence }, out);
        }
        let endpoints = self.directory.len().max(1) as u64;
        let limit = self.settings.quotas.selector_work / endpoints;
        let size = selector.label_op.node_count() as u64;
        let is_too_long = size > limit;
        let deadline = super::after(now, selector.ttl).saturating_sub(over);
        let until = if over > 0 { deadline } else { u64::MAX };
        let receivers = self.receivers(&selector.label_op, until);
        // Whoever matches now may have joined after that. Who has yet to come back may have it.
        if selector.ttl.is_zero() && (is_too_long || !matches!(receivers, Receivers::Unknown)) {
            let answer = match receivers {
                Receivers::First(_) if over > 0 => self.routable(sequence, deadline),
                _ => ToMember::Expired { sequence },
            };
            return self.send(conn, &answer, out);
        }
        if is_too_long {
            let reason = ParkRefusal::Selector { size, limit };
            return self.send(conn, &ToMember::ParkRefused { sequence, reason }, out);
        }
        // Behind a message that is contested, so that the two cannot overtake each other; or under way: if we
        // die now, who is to get it may forget it.
        let contested = self
            .contested
            .range(ParkId::all_of(sender))
            .next()
            .is_some()
            || self.parking.has_under_way(sender)
            || match receivers {
                Receivers::Nobody => false,
                Receivers::Unknown => true,
                Receivers::First(_) => {
                    return self.send(conn, &self.routable(sequence, u64::MAX), out);
                }
            };
        let uid = self.connections.get(conn).map_or(0, |it| it.uid);
        let parked = Parked {
            id,
            label_op: selector.label_op,
            body,
            objects,
            uid,
            deadline,
            expired: false,
            on_the_way: None,
        };
        let stored = parked.stored_objects() > 0;
        let body = matches!(parked.body, Body::Object { .. });
        if let Err(reason) = self.parking.insert(parked, &self.settings.quotas) {
            return self.send(conn, &ToMember::ParkRefused { sequence, reason }, out);
        }
        if stored {
            out.push(Output::StoreParked { conn, id, body });
        }
        if contested {
            self.contested.insert(id);
        }
        self.send(conn, &ToMember::Parked { sequence }, out);
        self.tell_strain_of_parking(uid, out);
    }

    /// The messages to send to a member that is about to be on the bus, each sender's in order.
    pub(super) fn waiting_for(&self, label: &Label) -> Vec<ParkId> {
        let mut waiting = self.parking.matching(label);
        waiting.retain(|id| !self.contested.contains(id));
        waiting
    }

    /// Sends a parked message to a member. It stays until the member says that it arrived.
    pub(super) fn deliver(&mut self, conn: ConnId, id: ParkId, out: &mut Vec<Output>) {
        self.contested.remove(&id);
        let Some(parked) = self.parking.send_to(id, conn) else {
            return;
        };
        let mut attach = SmallVec::new();
        if matches!(parked.body, Body::Object { .. }) {
            attach.push(Attachment::ParkedBody(id));
        }
        if parked.objects > 0 {
            attach.push(Attachment::ParkedObjects(id));
        }
        let message = ToMember::Deliver {
            id,
            body: parked.body.clone(),
            objects: parked.objects,
        };
        self.send_with(conn, &message, attach, out);
    }

    /// A member says that parked messages have arrived.
    pub(super) fn took(&mut self, conn: ConnId, ids: &[ParkId], out: &mut Vec<Output>) {
        let member = self.connections.member(conn);
        for &id in ids {
            let parked = self.parking.get(id);
            if parked.is_some_and(|parked| parked.on_the_way == Some(conn)) {
                self.arrived(id, member, out);
            }
        }
        self.reconsider(out);
    }

    /// A parked message has arrived, with this controller or an earlier one.
    pub(super) fn arrived(&mut self, id: ParkId, to: Option<EndpointId>, out: &mut Vec<Output>) {
        self.delivered.insert(id, to);
        if self.unpark(id, out) {
            let sequence = id.sequence;
            self.tell(id.sender, &ToMember::Delivered { sequence, to }, out);
        }
    }

    /// Its sender takes back what is not on its way yet.
    pub(super) fn withdraw(&mut self, id: ParkId, now: u64, out: &mut Vec<Output>) {
        let parked = self.parking.get(id);
        if parked.is_some_and(|parked| parked.on_the_way.is_none()) {
            self.parking.hurry(id, now);
            self.expire_one(id, out);
        }
    }

    /// Parked messages whose ttl is over. One that is on its way counts as arrived.
    pub(super) fn expire_parked(&mut self, now: u64, out: &mut Vec<Output>) {
        let due = self.parking.due(now);
        for &id in &due {
            let parked = self.parking.get(id);
            match parked.and_then(|parked| parked.on_the_way) {
                Some(conn) => self.arrived(id, self.connections.member(conn), out),
                None => self.expire_one(id, out),
            }
        }
        if !due.is_empty() {
            self.reconsider(out);
        }
    }

    /// The ttl of a message is over. It is for nobody any more, but for those who are there already: if one of them may
    /// have it, or it waits behind another message, its sender hears later what becomes of it.
    fn expire_one(&mut self, id: ParkId, out: &mut Vec<Output>) {
        let contested = self.contested.contains(&id);
        let Some(parked) = self.parking.get(id).filter(|_| contested) else {
            return self.say_expired(id, out);
        };
        match self.receivers(&parked.label_op, parked.deadline) {
            Receivers::Nobody => self.say_expired(id, out),
            // Behind which of its messages it is, its sender knows, and does not forget it if we die.
            Receivers::First(_) if self.live.contains_key(&id.sender) => {
                self.hand_back(id, parked.deadline, out);
            }
            Receivers::First(_) | Receivers::Unknown => self.parking.expire(id),
        }
    }

    /// Its sender sends it.
    fn hand_back(&mut self, id: ParkId, last: u64, out: &mut Vec<Output>) {
        self.unpark(id, out);
        self.tell(id.sender, &self.routable(id.sequence, last), out);
    }

    fn say_expired(&mut self, id: ParkId, out: &mut Vec<Output>) {
        if self.unpark(id, out) {
            let sequence = id.sequence;
            self.tell(id.sender, &ToMember::Expired { sequence }, out);
        }
    }

    /// The connection is gone. What was on its way there waits again, unless there is somebody else by
    /// now, who may have later messages already: then it is lost with who it was for.
    pub(super) fn take_back(&mut self, conn: ConnId, member: EndpointId, out: &mut Vec<Output>) {
        for id in self.parking.on_the_way_to(conn) {
            let Some(parked) = self.parking.get(id) else {
                continue;
            };
            if !matches!(
                self.receivers(&parked.label_op, u64::MAX),
                Receivers::Nobody
            ) {
                self.arrived(id, Some(member), out);
            } else {
                self.parking.take_back(id);
            }
        }
        self.reconsider(out);
    }

    /// Something has changed that may decide what becomes of contested messages.
    pub(super) fn reconsider(&mut self, out: &mut Vec<Output>) {
        if self.contested.is_empty() {
            return;
        }
        let undecided = self.undecided();
        for id in self.contested.clone() {
            if is_behind(id, &undecided) {
                continue;
            }
            let Some(parked) = self.parking.get(id) else {
                self.contested.remove(&id);
                continue;
            };
            let (expired, last) = (parked.expired, parked.last());
            match self.receivers(&parked.label_op, last) {
                Receivers::Unknown => {}
                Receivers::Nobody if expired => self.say_expired(id, out),
                Receivers::Nobody => drop(self.contested.remove(&id)),
                // Whoever sent it keeps its messages in order better than we can; if there is nobody
                // to do it, we send it.
                Receivers::First(_) if self.live.contains_key(&id.sender) => {
                    self.hand_back(id, last, out);
                }
                Receivers::First(receiver) => match self.live.get(&receiver) {
                    Some(&conn) => {
                        self.deliver(conn, id, out);
                        if expired {
                            // It does not wait again.
                            self.arrived(id, Some(receiver), out);
                        }
                    }
                    // It is let in next.
                    None if expired => {}
                    None => drop(self.contested.remove(&id)),
                },
            }
        }
    }

    /// By sender, the first of its messages that somebody may have who has yet to register again, or that
    /// is under way.
    fn undecided(&self) -> BTreeMap<EndpointId, u64> {
        let mut undecided = BTreeMap::new();
        for id in self.parking.under_way() {
            undecided.entry(id.sender).or_insert(id.sequence);
        }
        for id in &self.contested {
            if undecided
                .get(&id.sender)
                .is_none_or(|first| *first > id.sequence)
                && let Some(parked) = self.parking.get(*id)
                && matches!(
                    self.receivers(&parked.label_op, parked.last()),
                    Receivers::Unknown
                )
            {
                undecided.insert(id.sender, id.sequence);
            }
        }
        undecided
    }

    /// Those who had joined by then.
    fn receivers(&self, label_op: &LabelOp, last: u64) -> Receivers {
        let mut matching = self.directory.matching(label_op, SelectorMode::Multicast);
        matching.retain(|id| (self.directory.get(*id)).is_some_and(|it| it.order <= last));
        if matching.iter().any(|id| self.absent.contains(*id)) {
            return Receivers::Unknown;
        }
        match matching.first() {
            Some(first) => Receivers::First(*first),
            None => Receivers::Nobody,
        }
    }

    fn routable(&self, sequence: u64, last: u64) -> ToMember {
        let last = last.min(self.last_order);
        ToMember::Routable { sequence, last }
    }

    /// Whether it was there.
    fn unpark(&mut self, id: ParkId, out: &mut Vec<Output>) -> bool {
        self.contested.remove(&id);
        let Some(parked) = self.parking.remove(id) else {
            return false;
        };
        if parked.stored_objects() > 0 {
            out.push(Output::DropParked(id));
        }
        true
    }
}

fn is_behind(id: ParkId, undecided: &BTreeMap<EndpointId, u64>) -> bool {
    let first = undecided.get(&id.sender);
    first.is_some_and(|first| *first <= id.sequence)
}

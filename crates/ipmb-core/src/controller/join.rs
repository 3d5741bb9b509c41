//! Coming and going.

use std::collections::BTreeSet;

use smallvec::smallvec;

use super::{Attachment, CloseReason, ConnId, Controller, Output, State, after};
use crate::{
    EndpointId, Label, Member, Quota, ReceiveLimits, Record, RefuseReason, Survivor, ToMember,
    Whose,
};

/// What somebody registers with.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) id: EndpointId,
    pub(super) label: Label,
    pub(super) limits: ReceiveLimits,
    pub(super) receiving: bool,
    pub(super) survivor: Option<Survivor>,
}

impl Controller {
    pub(super) fn register(
        &mut self,
        conn: ConnId,
        registration: Registration,
        now: u64,
        out: &mut Vec<Output>,
    ) {
        if let Err(reason) = self.may_join(conn, &registration) {
            return self.refuse(conn, reason, out);
        }
        let id = registration.id;
        if let Some(survivor) = &registration.survivor {
            // Before an older connection of it is closed, which would send them elsewhere.
            for parked in &survivor.delivered {
                self.arrived(*parked, Some(id), out);
            }
        }
        if let Some(older) = self.connection_of(id) {
            self.close(older, CloseReason::Replaced, out);
        }
        out.push(Output::StoreEndpoint { conn, id });
        if let Some(survivor) = &registration.survivor {
            // Read first: raising the beacon would make the directory look out of date.
            if let Some(due) = self.settling {
                self.settling = Some(due.min(after(now, self.settings.settle)));
                let generation = survivor.generation;
                out.push(Output::ReadOldDirectory { conn, generation });
            }
            let to = self.generation;
            out.push(Output::RaiseBeaconOf { conn, to });
        }
        let registration = Box::new(registration);
        self.connections.promote(conn, State::Held(registration));
        if self.settling.is_some() {
            self.held.push(conn);
        } else {
            self.let_in(conn, now, out);
        }
    }

    /// Lets in somebody who is held.
    pub(super) fn let_in(&mut self, conn: ConnId, now: u64, out: &mut Vec<Output>) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        let (pid, uid) = (connection.pid, connection.uid);
        let state = std::mem::replace(&mut connection.state, State::Admitted);
        let State::Held(registration) = state else {
            connection.state = state;
            return;
        };
        if let Err(reason) = self.may_join(conn, &registration) {
            out.push(Output::DropEndpoint(registration.id));
            return self.refuse(conn, reason, out);
        }
        let id = registration.id;
        let member = self.member(&registration, (pid, uid), now);
        self.expect_no_longer(id, out);
        // What was kept for it goes out before anybody can see it, and so before whatever anybody
        // sends it; it is visible before it hears that it is.
        let waiting = match member.receiving {
            true => self.waiting_for(&member.label),
            false => Vec::new(),
        };
        for parked in &waiting {
            self.deliver(conn, *parked, out);
        }
        let welcome = ToMember::Welcome {
            id,
            order: member.order,
            generation: self.generation,
            deliveries: u32::try_from(waiting.len()).unwrap_or(u32::MAX),
        };
        if self.directory.get(id) != Some(&member) {
            self.publish(Record::Join(member), out);
        }
        self.connections.promote(conn, State::Member(id));
        self.live.insert(id, conn);
        let attach = smallvec![Attachment::Directory, Attachment::Beacon];
        self.send_with(conn, &welcome, attach, out);
        self.introduce_waiting(id, out);
        self.reconsider(out);
    }

    /// Publishes a survivor who is about to be let in.
    pub(super) fn announce(&mut self, conn: ConnId, now: u64, out: &mut Vec<Output>) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        if let State::Held(registration) = &connection.state
            && self.directory.get(registration.id).is_none()
            && self.may_join(conn, registration).is_ok()
        {
            let who = (connection.pid, connection.uid);
            let member = self.member(registration, who, now);
            self.publish(Record::Join(member), out);
        }
    }

    /// Closes a connection, and whoever was on it is gone.
    pub(super) fn close(&mut self, conn: ConnId, reason: CloseReason, out: &mut Vec<Output>) {
        out.push(Output::Close { conn, reason });
        self.closed(conn, out);
    }

    /// A connection is closed.
    pub(super) fn closed(&mut self, conn: ConnId, out: &mut Vec<Output>) {
        let Some(connection) = self.connections.remove(conn) else {
            return;
        };
        match connection.state {
            State::Handshaking(_) | State::Admitted => {}
            State::Held(registration) => {
                self.held.retain(|held| *held != conn);
                out.push(Output::DropEndpoint(registration.id));
            }
            State::Member(id) => {
                self.live.remove(&id);
                self.publish(Record::Leave(id), out);
                out.push(Output::DropEndpoint(id));
                self.introductions.forget(id);
                self.take_back(conn, id, out);
            }
        }
    }

    pub(super) fn stop_receiving(
        &mut self,
        conn: ConnId,
        id: EndpointId,
        askers: Vec<EndpointId>,
        out: &mut Vec<Output>,
    ) {
        let member = self.directory.get(id);
        if member.is_some_and(|member| member.receiving) {
            self.publish(Record::Receiving(id, false), out);
        }
        // Who waits does not look at the directory. Once: it must not be a way to keep others busy.
        if let Some(connection) = self.connections.get_mut(conn)
            && !std::mem::replace(&mut connection.deaf, true)
        {
            for asker in BTreeSet::from_iter(askers) {
                self.tell(asker, &ToMember::NoSuchPeer { peer: id }, out);
            }
        }
    }

    fn may_join(&self, conn: ConnId, registration: &Registration) -> Result<(), RefuseReason> {
        let quotas = &self.settings.quotas;
        let id = registration.id;
        let size = registration.label.size_in_bytes();
        if size > quotas.label_bytes {
            let (size, limit) = (size as u64, quotas.label_bytes as u64);
            return Err(RefuseReason::LabelTooLarge { size, limit });
        }
        let survivor = registration.survivor.as_ref();
        if survivor.is_some_and(|survivor| survivor.generation > self.generation) {
            return Err(RefuseReason::Outdated);
        }
        let Some(connection) = self.connections.get(conn) else {
            return Err(RefuseReason::IdTaken);
        };
        let who = (connection.pid, connection.uid);
        if let Some(older) = self.connection_of(id).filter(|older| *older != conn) {
            let older = self.connections.get(older);
            // A process that cannot be seen may be any.
            if who.0 == 0 || older.is_some_and(|older| (older.pid, older.uid) != who) {
                return Err(RefuseReason::IdTaken);
            }
            return Ok(());
        }
        if let Some(member) = self.directory.get(id) {
            return match (member.pid, member.uid) == who {
                true => Ok(()),
                false => Err(RefuseReason::IdTaken),
            };
        }
        let held = self.held.iter().filter(|held| **held != conn).count();
        if self.directory.len() + held >= quotas.members {
            let limit = quotas.members as u64;
            return Err(RefuseReason::TooManyEndpoints { limit });
        }
        let of_user = self.members_of(who.1) + self.held_of(who.1, conn);
        if of_user >= quotas.members_per_user {
            let limit = quotas.members_per_user as u64;
            return Err(RefuseReason::TooManyOfUser { limit });
        }
        let bare = Member {
            id,
            order: u64::MAX,
            pid: who.0,
            uid: who.1,
            label: Label::default(),
            receiving: registration.receiving,
            limits: registration.limits,
        };
        self.has_room_for(bare.cost_with(&registration.label), who.1)
    }

    /// Whether the directory takes one more of a user, at this [`Member::cost`].
    pub(super) fn has_room_for(&self, cost: usize, uid: u32) -> Result<(), RefuseReason> {
        let wanted = cost as u64;
        for whose in [Whose::Bus, Whose::User] {
            let quota = self.directory_of(whose, uid);
            if wanted > quota.left() {
                return Err(RefuseReason::DirectoryFull {
                    whose,
                    quota,
                    wanted,
                });
            }
        }
        Ok(())
    }

    /// The bytes of the directory that somebody has.
    pub(super) fn directory_of(&self, whose: Whose, uid: u32) -> Quota {
        let limit = self.settings.quotas.directory_bytes as u64;
        match whose {
            Whose::Bus => Quota::new(self.directory_bytes as u64, limit),
            _ => {
                let used = self.users.get(&uid).map_or(0, |it| it.1);
                let share = self.settings.quotas.share_per_user.max(1);
                Quota::new(used as u64, limit / share)
            }
        }
    }

    pub(super) fn members_of(&self, uid: u32) -> usize {
        self.users.get(&uid).map_or(0, |it| it.0)
    }

    /// Those of a user who wait to be let in, but for one.
    fn held_of(&self, uid: u32, but: ConnId) -> usize {
        let of_user = |conn: &&ConnId| {
            let connection = self.connections.get(**conn);
            **conn != but && connection.is_some_and(|it| it.uid == uid)
        };
        self.held.iter().filter(of_user).count()
    }

    fn refuse(&mut self, conn: ConnId, reason: RefuseReason, out: &mut Vec<Output>) {
        self.send(conn, &ToMember::Refused(reason), out);
        self.close(conn, CloseReason::Refused(reason), out);
    }

    /// The open connection on which the endpoint registered.
    fn connection_of(&self, id: EndpointId) -> Option<ConnId> {
        let held = || {
            self.held.iter().copied().find(|conn| {
                let connection = self.connections.get(*conn);
                matches!(
                    connection.map(|connection| &connection.state),
                    Some(State::Held(registration)) if registration.id == id
                )
            })
        };
        self.live.get(&id).copied().or_else(held)
    }

    fn member(&self, registration: &Registration, (pid, uid): (u32, u32), now: u64) -> Member {
        Member {
            id: registration.id,
            order: self.order(registration, now),
            pid,
            uid,
            label: registration.label.clone(),
            receiving: registration.receiving,
            limits: registration.limits,
        }
    }

    /// Its place in the join order: the one it had, or the next.
    fn order(&self, registration: &Registration, now: u64) -> u64 {
        if let Some(member) = self.directory.get(registration.id) {
            return member.order;
        }
        let next = self.last_order.saturating_add(1).max(now);
        match &registration.survivor {
            Some(Survivor { order, .. }) if !self.has_order(*order) => *order,
            _ => next,
        }
    }

    fn has_order(&self, order: u64) -> bool {
        self.directory.iter().any(|member| member.order == order)
    }
}

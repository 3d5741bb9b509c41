//! Taking over: who was on the bus before, and has yet to come.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{ConnId, Controller, Output, State, after};
use crate::{Directory, EndpointId, Record};

/// The members of the last controller that have not registered again.
#[derive(Debug, Default)]
pub(super) struct Absent {
    members: BTreeMap<EndpointId, (u32, u64)>,
    processes: BTreeMap<u32, BTreeSet<EndpointId>>,
    deadlines: BTreeSet<(u64, EndpointId)>,
}

impl Controller {
    /// Publishes the members of the last controller: they stay routable while they come back.
    pub(super) fn inherit(&mut self, inherited: &Directory, now: u64, out: &mut Vec<Output>) {
        for member in inherited.iter() {
            let is_full = self.directory.len() >= self.settings.quotas.members;
            if is_full || self.has_room_for(member.cost(), member.uid).is_err() {
                break;
            }
            self.note(Record::Join(member.clone()));
            let patience = match member.pid {
                0 => self.settings.grace,
                _ => self.settings.patience,
            };
            self.absent
                .insert(member.id, member.pid, after(now, patience));
        }
        out.push(Output::Snapshot(self.snapshot()));
        for &pid in self.absent.processes.keys().filter(|pid| **pid != 0) {
            out.push(Output::WatchProcess { pid });
        }
    }

    /// A survivor's directory has been read.
    pub(super) fn survivor_directory(
        &mut self,
        conn: ConnId,
        directory: Option<Directory>,
        current: bool,
        now: u64,
        out: &mut Vec<Output>,
    ) {
        let state = self.connections.get(conn).map(|held| &held.state);
        let Some(State::Held(registration)) = state else {
            return;
        };
        let generation = (registration.survivor.as_ref()).map_or(0, |survivor| survivor.generation);
        let Some(directory) = directory.filter(|it| self.settling.is_some() && !it.is_empty())
        else {
            return;
        };
        if current {
            self.inherit(&directory, now, out);
            self.settle(now, out);
        } else if (self.rumour.as_ref()).is_none_or(|(known, _)| *known < generation) {
            self.rumour = Some((generation, directory));
        }
    }

    /// Whether survivors cannot come.
    pub(super) fn set_unreachable(&mut self, unreachable: bool, now: u64) {
        if std::mem::replace(&mut self.unreachable, unreachable) && !unreachable {
            self.wait_again(self.settings.grace, now);
        }
    }

    /// When survivors are no longer waited for, if they are.
    pub(super) fn settling_until(&self) -> Option<u64> {
        self.settling.filter(|_| !self.unreachable)
    }

    /// Those for whom we wait had no chance to come until now.
    fn wait_again(&mut self, grace: Duration, now: u64) {
        if let Some(due) = &mut self.settling {
            *due = after(now, self.settings.settle).max(*due);
            self.patient_until = after(now, grace).max(self.patient_until);
        }
    }

    /// The time is over in which somebody could bring a directory that is up to date.
    pub(super) fn settle_at_last(&mut self, due: u64, now: u64, out: &mut Vec<Output>) {
        // What kept us from looking at the clock (a stopped process, a busy machine) may have kept them
        // from coming, and they may have come by now: we have not looked. Once: on a machine that is always
        // busy, nobody would ever be let in.
        let settle = self.settings.settle;
        if now > after(due, settle) && !std::mem::replace(&mut self.was_late, true) {
            return self.wait_again(settle, now);
        }
        // Those who have not come do not know that there is a new controller: what they send would
        // miss whoever is let in now. One of them is enough to tell all.
        let has_come = self.held.iter().any(|conn| self.is_survivor(*conn));
        if !has_come && now < self.patient_until {
            self.settling = Some(self.patient_until);
            return;
        }
        // Controllers have died one after the other, before the survivors were back. Those whom an
        // older directory shows are most likely still there, and what is sent meanwhile is not to
        // miss them. Who has died is noticed; who has left since is given up when he does not come.
        if let Some((_, directory)) = self.rumour.take() {
            self.inherit(&directory, now, out);
        }
        self.settle(now, out);
    }

    /// Nobody needs to be waited for any more: lets in those who were held, survivors first.
    pub(super) fn settle(&mut self, now: u64, out: &mut Vec<Output>) {
        self.settling = None;
        self.rumour = None;
        let (survivors, fresh): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|conn| self.is_survivor(*conn));
        // All of them before the first is in, who would take those that it does not see for gone.
        for conn in &survivors {
            self.announce(*conn, now, out);
        }
        for conn in survivors.into_iter().chain(fresh) {
            self.let_in(conn, now, out);
        }
    }

    pub(super) fn process_died(&mut self, pid: u32, out: &mut Vec<Output>) {
        for id in self.absent.of_process(pid) {
            self.expect_in_vain(Record::Leave(id), id, out);
        }
    }

    pub(super) fn watch_failed(&mut self, pid: u32, now: u64) {
        let deadline = after(now, self.settings.grace);
        for id in self.absent.of_process(pid) {
            self.absent.hurry(id, deadline);
        }
    }

    /// An inherited member does not come back in time.
    pub(super) fn give_up(&mut self, id: EndpointId, out: &mut Vec<Output>) {
        self.expect_in_vain(Record::GivenUp(id), id, out);
    }

    fn expect_in_vain(&mut self, record: Record, id: EndpointId, out: &mut Vec<Output>) {
        self.expect_no_longer(id, out);
        self.publish(record, out);
        self.disappoint_waiting(id, out);
        self.reconsider(out);
    }

    /// A member is back, if it was expected, or given up.
    pub(super) fn expect_no_longer(&mut self, id: EndpointId, out: &mut Vec<Output>) {
        if let Some(pid) = self.absent.remove(id)
            && pid != 0
            && self.absent.of_process(pid).is_empty()
        {
            out.push(Output::UnwatchProcess { pid });
        }
    }

    fn is_survivor(&self, conn: ConnId) -> bool {
        match self.connections.get(conn).map(|found| &found.state) {
            Some(State::Held(registration)) => registration.survivor.is_some(),
            _ => false,
        }
    }
}

impl Absent {
    fn insert(&mut self, id: EndpointId, pid: u32, deadline: u64) {
        self.members.insert(id, (pid, deadline));
        self.processes.entry(pid).or_default().insert(id);
        self.deadlines.insert((deadline, id));
    }

    /// Its process.
    fn remove(&mut self, id: EndpointId) -> Option<u32> {
        let (pid, deadline) = self.members.remove(&id)?;
        self.deadlines.remove(&(deadline, id));
        if let Some(ids) = self.processes.get_mut(&pid) {
            ids.remove(&id);
            if ids.is_empty() {
                self.processes.remove(&pid);
            }
        }
        Some(pid)
    }

    pub(super) fn contains(&self, id: EndpointId) -> bool {
        self.members.contains_key(&id)
    }

    /// Who is expected first, and until when.
    pub(super) fn first(&self) -> Option<(u64, EndpointId)> {
        self.deadlines.first().copied()
    }

    fn of_process(&self, pid: u32) -> Vec<EndpointId> {
        let ids = self.processes.get(&pid);
        ids.into_iter().flatten().copied().collect()
    }

    fn hurry(&mut self, id: EndpointId, deadline: u64) {
        if let Some((_, held)) = self.members.get_mut(&id)
            && deadline < *held
        {
            self.deadlines.remove(&(*held, id));
            self.deadlines.insert((deadline, id));
            *held = deadline;
        }
    }
}

//! Who is connected, and how far each has come.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConnId, Phase, join::Registration};
use crate::{Doorkeeper, EndpointId};

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    table: BTreeMap<ConnId, Connection>,
    // Those that have not registered, by when they must have.
    pending: BTreeSet<(u64, ConnId)>,
    // Of those, the ones that have said nothing yet.
    silent: BTreeSet<(u64, ConnId)>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) pid: u32,
    pub(super) uid: u32,
    pub(super) state: State,
    /// It has said that it receives no longer.
    pub(super) deaf: bool,
    pub(super) deadline: Option<u64>,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nobody yet; the shell reads raw packets.
    Handshaking(Box<Doorkeeper>),
    /// Holds the token.
    Admitted,
    /// Wants to join, and waits until the controller knows who is on the bus.
    Held(Box<Registration>),
    /// Is on the bus.
    Member(EndpointId),
}

impl Connections {
    pub(super) fn insert(
        &mut self,
        conn: ConnId,
        (pid, uid): (u32, u32),
        state: State,
        deadline: Option<u64>,
    ) {
        let connection = Connection {
            pid,
            uid,
            state,
            deaf: false,
            deadline,
        };
        self.table.insert(conn, connection);
        let due = deadline.map(|deadline| (deadline, conn));
        self.pending.extend(due);
        self.silent.extend(due);
    }

    /// The connection has said something that makes sense.
    pub(super) fn has_spoken(&mut self, conn: ConnId) {
        if let Some(deadline) = self.table.get(&conn).and_then(|it| it.deadline) {
            self.silent.remove(&(deadline, conn));
        }
    }

    /// Who is on the bus through it.
    pub(super) fn member(&self, conn: ConnId) -> Option<EndpointId> {
        match self.get(conn)?.state {
            State::Member(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Connection> {
        self.table.get(&conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.table.get_mut(&conn)
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        let connection = self.table.remove(&conn)?;
        if let Some(deadline) = connection.deadline {
            self.forget_deadline(deadline, conn);
        }
        Some(connection)
    }

    /// The connection has registered: gives it its new state, and it may take its time from now on.
    pub(super) fn promote(&mut self, conn: ConnId, state: State) {
        if let Some(connection) = self.table.get_mut(&conn) {
            connection.state = state;
            if let Some(deadline) = connection.deadline.take() {
                self.forget_deadline(deadline, conn);
            }
        }
    }

    fn forget_deadline(&mut self, deadline: u64, conn: ConnId) {
        self.pending.remove(&(deadline, conn));
        self.silent.remove(&(deadline, conn));
    }

    /// The number of connections that have not registered.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Of those, one to make room, and how many its process has: of them that have said nothing, or if all have, of
    /// all, the oldest of the process that has most. So a flood costs its source, and not those who come in
    /// between, nor those who are about to register. Not the newest, which has had no time to speak.
    pub(super) fn superfluous(&self, newest: Option<ConnId>) -> Option<(ConnId, usize)> {
        let others = |all: &BTreeSet<(u64, ConnId)>| {
            let conns = all.iter().map(|(_, conn)| *conn);
            self.oldest_of_the_busiest(conns.filter(|conn| Some(*conn) != newest).collect())
        };
        others(&self.silent).or_else(|| others(&self.pending))
    }

    /// `conns` are from the oldest to the newest.
    fn oldest_of_the_busiest(&self, conns: Vec<ConnId>) -> Option<(ConnId, usize)> {
        let who = |conn: &ConnId| self.get(*conn).map(|it| (it.pid, it.uid));
        let mut counts = BTreeMap::new();
        for conn in &conns {
            *counts.entry(who(conn)).or_insert(0_usize) += 1;
        }
        // Of several, the one that is there longest.
        let most = counts.values().copied().max()?;
        let is_busiest = |conn: &ConnId| counts.get(&who(conn)) == Some(&most);
        Some((conns.into_iter().find(is_busiest)?, most))
    }

    /// Of those the oldest, and by when it must have.
    pub(super) fn oldest_pending(&self) -> Option<(u64, ConnId)> {
        self.pending.first().copied()
    }

    /// Of those that have said nothing the oldest, and by when it must have registered.
    pub(super) fn oldest_silent(&self) -> Option<(u64, ConnId)> {
        self.silent.first().copied()
    }
}

impl Connection {
    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Handshaking(_) => Phase::Handshaking,
            State::Admitted | State::Held(_) | State::Member(_) => Phase::Admitted,
        }
    }
}

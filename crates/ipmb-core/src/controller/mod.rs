//! The controller: who is on the bus, who gets to know whom, and what waits for whom.
//!
//! A state machine without I/O. Its shell reports what happens as [`Input`]s, with the time, and
//! carries out the [`Output`]s that come of it, in order. The order is where guarantees live: a join is
//! published before it is acknowledged, and what was parked for the joiner is sent before that.
//!
//! Messages and connections are the unit of fault: whatever a peer sends, at worst its own connection is
//! closed.

mod connections;
mod failover;
mod input;
mod introduce;
mod join;
mod output;
mod park;
mod settings;
mod strain;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use smallvec::SmallVec;

pub use input::{ConnId, Input, Phase};
pub use output::{Attachment, CloseReason, Output, Side};
pub use settings::Settings;
pub use strain::{Strain, Strained};

use crate::{
    Credential, Directory, Doorkeeper, DoorkeeperStep, EndpointId, HandshakeError,
    MAX_HANDSHAKE_PACKET, Member, ParkId, Record, ToController, ToMember,
    parking::{Delivered, Parking},
};
use connections::{Connections, State};
use failover::Absent;
use introduce::Introductions;
use join::Registration;
use park::ToPark;
use strain::Strains;

/// The controller of a bus. See the [module](self).
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    credential: Credential,
    generation: u64,
    directory: Directory,
    directory_bytes: usize,
    // By user: how many members, and their records, in bytes.
    users: BTreeMap<u32, (usize, usize)>,
    last_order: u64,
    connections: Connections,
    live: BTreeMap<EndpointId, ConnId>,
    absent: Absent,
    // Until when, and who waits meanwhile, in the order they came.
    settling: Option<u64>,
    // Until when survivors are waited for if none has come.
    patient_until: u64,
    // None can come at the moment.
    unreachable: bool,
    // We have looked at the clock too late, and waited for them again.
    was_late: bool,
    held: Vec<ConnId>,
    // The newest of the directories that survivors have brought, all of them out of date: of that
    // generation.
    rumour: Option<(u64, Directory)>,
    introductions: Introductions,
    parking: Parking,
    // Parked messages that a member may have, who has yet to register again, and what their senders
    // parked after them.
    contested: BTreeSet<ParkId>,
    delivered: Delivered,
    strains: Strains,
}

impl Controller {
    /// A controller that has just been elected.
    ///
    /// `generation` must be above that of every controller before it; the boot-time clock will do.
    ///
    /// `inherited` is the directory that the controller's own endpoint held, if it was a member and its
    /// directory is not out of date (its beacon has not been raised above its generation). The members
    /// stay routable, and register again as survivors, the controller's own endpoint included.
    ///
    /// Without it, `others_present` says whether somebody else holds a membership: then there are
    /// survivors to come, and nobody is let in before the first of them has brought the directory. If none
    /// has one that is up to date, that takes [`Settings::settle`]; if none comes at all,
    /// [`Settings::grace`].
    ///
    /// Outputs are appended to `out`.
    pub fn new(
        settings: Settings,
        credential: Credential,
        generation: u64,
        inherited: Option<Directory>,
        others_present: bool,
        now: u64,
        out: &mut Vec<Output>,
    ) -> Self {
        let settling = (inherited.is_none() && others_present).then(|| after(now, settings.settle));
        let patient_until = after(now, settings.grace);
        let mut controller = Self {
            delivered: Delivered::new(settings.quotas.remembered_deliveries),
            settings,
            credential,
            generation,
            directory: Directory::default(),
            directory_bytes: 0,
            users: BTreeMap::new(),
            last_order: 0,
            connections: Connections::default(),
            live: BTreeMap::new(),
            absent: Absent::default(),
            settling,
            patient_until,
            unreachable: false,
            was_late: false,
            held: Vec::new(),
            rumour: None,
            introductions: Introductions::default(),
            parking: Parking::default(),
            contested: BTreeSet::new(),
            strains: Strains::default(),
        };
        if let Some(inherited) = inherited {
            controller.inherit(&inherited, now, out);
            out.push(Output::RaiseBeacon { to: generation });
        }
        controller
    }

    /// Takes note of something that happened at `now`, in nanoseconds of the boot-time clock, and
    /// appends what is to be done to `out`. Timers that are due come first.
    pub fn handle(&mut self, input: Input<'_>, now: u64, out: &mut Vec<Output>) {
        self.expire(now, out);
        match input {
            Input::Accepted {
                conn,
                pid,
                uid,
                nonce,
            } => self.accept(conn, (pid, uid), nonce, now, out),
            Input::LocalMember { conn, pid, uid } => {
                self.connections
                    .insert(conn, (pid, uid), State::Admitted, None);
            }
            Input::Received {
                conn,
                bytes,
                objects,
            } => self.receive(conn, bytes, objects, now, out),
            Input::SurvivorDirectory {
                conn,
                directory,
                current,
            } => {
                self.survivor_directory(conn, directory, current, now, out);
            }
            Input::Closed { conn } => self.closed(conn, out),
            Input::ProcessDied { pid } => self.process_died(pid, out),
            Input::WatchFailed { pid } => self.watch_failed(pid, now),
            Input::Unreachable(unreachable) => self.set_unreachable(unreachable, now),
            Input::Tick => {}
        }
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`] if nothing else happens before.
    pub fn next_deadline(&self) -> Option<u64> {
        [
            self.connections.oldest_pending().map(|(due, _)| due),
            self.absent.first().map(|(due, _)| due),
            self.parking.next_deadline(),
            self.settling_until(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// From when on the shell should accept connections; 0: at once. It may change with each input.
    ///
    /// When many come at a time, as all survivors of a large bus do, and the oldest were cut off for the
    /// sake of the newest, then nobody would ever get to the end of its handshake. So who has said a
    /// hello is left some time, and whoever comes meanwhile waits in the listener's queue: little time, if most of
    /// them are from one process, as those of an attacker are. Connections that say nothing can be replaced at
    /// any time.
    pub fn accepts_from(&self) -> u64 {
        let most = self.settings.quotas.pending_handshakes;
        if self.connections.pending() < most || self.connections.oldest_silent().is_some() {
            return 0;
        }
        let next = self.connections.superfluous(None);
        let due = next.and_then(|(conn, of_process)| {
            let due = self.connections.get(conn)?.deadline?;
            Some((due, of_process))
        });
        let Some((due, of_process)) = due else {
            return 0;
        };
        let accepted = due.saturating_sub(after(0, self.settings.handshake_timeout));
        let turn = match of_process > (most / 4).max(2) {
            true => self.settings.handshake_turn / 20,
            false => self.settings.handshake_turn,
        };
        after(accepted, turn)
    }

    /// Whether nobody is let in yet, as survivors are waited for who know who is on the bus.
    pub fn is_settling(&self) -> bool {
        self.settling.is_some()
    }

    /// How far a connection has come; `None` if it is closed.
    pub fn phase(&self, conn: ConnId) -> Option<Phase> {
        Some(self.connections.get(conn)?.phase())
    }

    /// The number that tells this controller from those before and after it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The records that make up the directory now, to begin its log anew with.
    pub fn snapshot(&self) -> Vec<Record> {
        self.directory.snapshot().collect()
    }

    fn expire(&mut self, now: u64, out: &mut Vec<Output>) {
        self.expire_parked(now, out);
        while let Some((due, conn)) = self.connections.oldest_pending()
            && due <= now
        {
            self.close(conn, CloseReason::Timeout, out);
        }
        if let Some(due) = self.settling_until().filter(|due| *due <= now) {
            self.settle_at_last(due, now, out);
        }
        while let Some((due, id)) = self.absent.first()
            && due <= now
        {
            self.give_up(id, out);
        }
    }

    fn accept(
        &mut self,
        conn: ConnId,
        who: (u32, u32),
        nonce: [u8; 32],
        now: u64,
        out: &mut Vec<Output>,
    ) {
        let (pid, uid) = who;
        let doorkeeper = Box::new(Doorkeeper::new(&self.credential, nonce).seeing(pid, uid));
        let deadline = after(now, self.settings.handshake_timeout);
        self.connections
            .insert(conn, who, State::Handshaking(doorkeeper), Some(deadline));
        if self.connections.pending() > self.settings.quotas.pending_handshakes
            && let Some((superfluous, _)) = self.connections.superfluous(Some(conn))
        {
            self.close(superfluous, CloseReason::TooManyPending, out);
        }
        self.tell_strain_of_connections(out);
    }

    fn receive(
        &mut self,
        conn: ConnId,
        bytes: &[u8],
        objects: usize,
        now: u64,
        out: &mut Vec<Output>,
    ) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        let state = match &mut connection.state {
            State::Handshaking(doorkeeper) => {
                let step = greeted(doorkeeper, bytes, objects);
                return self.greet(conn, step, out);
            }
            State::Member(id) => Some(*id),
            State::Admitted => None,
            State::Held(_) => return self.close(conn, CloseReason::RegisteredTwice, out),
        };
        let Ok(message) = ToController::decode(bytes) else {
            return self.close(conn, CloseReason::Malformed, out);
        };
        let (name, expected) = (message.name(), message.objects());
        if expected != objects {
            return self.close(conn, unexpected(name, expected, objects), out);
        }
        match (state, message) {
            (
                None,
                ToController::Register {
                    id,
                    label,
                    limits,
                    receiving,
                    survivor,
                },
            ) => {
                let registration = Registration {
                    id,
                    label,
                    limits,
                    receiving,
                    survivor,
                };
                self.register(conn, registration, now, out);
            }
            (None, _) => self.close(conn, CloseReason::NotRegistered { message: name }, out),
            (Some(_), ToController::Register { .. }) => {
                self.close(conn, CloseReason::RegisteredTwice, out);
            }
            (Some(id), ToController::Introduce { peer, after }) => {
                self.introduce(id, peer, after, out);
            }
            (
                Some(id),
                ToController::Park {
                    sequence,
                    selector,
                    over,
                    body,
                    objects,
                },
            ) => {
                let message = ToPark {
                    sequence,
                    selector,
                    over,
                    body,
                    objects,
                };
                self.park(conn, id, message, now, out);
            }
            (Some(_), ToController::Took { ids }) => self.took(conn, &ids, out),
            (Some(id), ToController::StopReceiving { askers }) => {
                self.stop_receiving(conn, id, askers, out);
            }
            (Some(sender), ToController::Withdraw { sequence }) => {
                self.withdraw(ParkId { sender, sequence }, now, out);
            }
            (Some(_), ToController::Leave) => {
                self.closed(conn, out);
                // Not before it is true.
                self.send(conn, &ToMember::Left, out);
                let reason = CloseReason::Left;
                out.push(Output::Close { conn, reason });
            }
        }
    }

    fn greet(&mut self, conn: ConnId, step: Greeting, out: &mut Vec<Output>) {
        let (packet, reason) = match step {
            Ok(DoorkeeperStep::Send(packet)) => {
                self.connections.has_spoken(conn);
                (Some(packet), None)
            }
            Ok(DoorkeeperStep::Admitted) => {
                if let Some(connection) = self.connections.get_mut(conn) {
                    connection.state = State::Admitted;
                }
                (None, None)
            }
            Err((reason, refusal)) => (refusal, Some(reason)),
        };
        out.extend(packet.map(|bytes| Output::Send {
            conn,
            bytes,
            attach: SmallVec::new(),
            framed: false,
        }));
        if let Some(reason) = reason {
            self.close(conn, reason, out);
        }
    }

    /// Publishes a change of the directory.
    fn publish(&mut self, record: Record, out: &mut Vec<Output>) {
        let joined = match &record {
            Record::Join(member) => Some(member.uid),
            _ => None,
        };
        self.note(record.clone());
        out.push(Output::Append(record));
        if let Some(uid) = joined {
            self.tell_strain_of_the_directory(uid, out);
        }
    }

    /// Takes note of a change of the directory.
    fn note(&mut self, record: Record) {
        let (Record::Join(Member { id, .. })
        | Record::Leave(id)
        | Record::GivenUp(id)
        | Record::Receiving(id, _)) = record;
        let size = |directory: &Directory| {
            let member = directory.get(id)?;
            Some((member.uid, member.cost()))
        };
        let before = size(&self.directory);
        if let Record::Join(member) = &record {
            self.last_order = self.last_order.max(member.order);
        }
        self.directory.apply(record);
        let after = size(&self.directory);
        if let Some((uid, bytes)) = before {
            self.directory_bytes = self.directory_bytes.saturating_sub(bytes);
            if let Some(of_user) = self.users.get_mut(&uid) {
                *of_user = (of_user.0.saturating_sub(1), of_user.1.saturating_sub(bytes));
                if of_user.0 == 0 {
                    self.users.remove(&uid);
                }
            }
        }
        if let Some((uid, bytes)) = after {
            self.directory_bytes += bytes;
            let of_user = self.users.entry(uid).or_default();
            *of_user = (of_user.0 + 1, of_user.1 + bytes);
        }
    }

    /// Sends to a member, if it is there.
    fn tell(&self, id: EndpointId, message: &ToMember, out: &mut Vec<Output>) {
        if let Some(&conn) = self.live.get(&id) {
            self.send(conn, message, out);
        }
    }

    fn send(&self, conn: ConnId, message: &ToMember, out: &mut Vec<Output>) {
        self.send_with(conn, message, SmallVec::new(), out);
    }

    fn send_with(
        &self,
        conn: ConnId,
        message: &ToMember,
        attach: SmallVec<[Attachment; 4]>,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Send {
            conn,
            bytes: message.encode(),
            attach,
            framed: true,
        });
    }
}

type Greeting = Result<DoorkeeperStep, (CloseReason, Option<Vec<u8>>)>;

/// A packet of a handshake.
fn greeted(doorkeeper: &mut Doorkeeper, bytes: &[u8], objects: usize) -> Greeting {
    if objects > 0 {
        return Err((unexpected("a packet of the handshake", 0, objects), None));
    }
    if bytes.len() > MAX_HANDSHAKE_PACKET {
        return Err((HandshakeError::Malformed.into(), None));
    }
    let step = doorkeeper.handle(bytes);
    step.map_err(|(error, refusal)| (error.into(), refusal))
}

fn unexpected(message: &'static str, expected: usize, found: usize) -> CloseReason {
    CloseReason::Objects {
        message,
        expected,
        found,
    }
}

/// A while after `now`. So long that it overflows is for ever.
fn after(now: u64, wait: Duration) -> u64 {
    now.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}

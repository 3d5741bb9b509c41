//! The controller's shell, as a model that believes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipmb_core::{
    Attachment, Body, CloseReason, ConnId, Controller, Credential, Directory, EndpointId, Greeter,
    GreeterStep, Input, Output, ParkId, Phase, Quotas, Record, Settings, Side, ToController,
    ToMember,
};

use crate::meter;

pub(crate) const GENERATION: u64 = 1_000_000;
/// Small, so that every limit is met.
const QUOTAS: Quotas = Quotas {
    members: 4,
    members_per_user: 3,
    label_bytes: 20,
    directory_bytes: 400,
    parked_bytes_per_endpoint: 20 << 10,
    parked_messages_per_endpoint: 4,
    parked_objects_per_endpoint: 6,
    parked_bytes: 40 << 10,
    parked_objects: 9,
    parked_operands: 40,
    share_per_user: 1,
    selector_work: 200,
    pending_handshakes: 3,
    introductions_per_pair: 3,
    remembered_deliveries: 8,
    message_bytes: 2 << 20,
    message_objects: 1025,
};
/// What a controller with these quotas may hold at most, connections not counted, in bytes.
const MOST_HELD: usize = 128 << 10;
/// What it may hold for one connection.
const MOST_HELD_EACH: usize = 4 << 10;

/// What holds:
///
/// * A peer that breaks the rules is cut off itself, and nobody else.
/// * Nothing is sent to a connection that is closed, and what is sent can be read, with as many objects as belong to it.
/// * Objects are kept, attached and dropped exactly once, and none are left in the end.
/// * A join is published before it is acknowledged, and after what was parked for the joiner has been sent.
/// * Each message to be parked has one answer.
/// * The published directory is the controller's own, within the quotas; so is what is parked.
/// * A deadline that has passed is over.
pub(crate) struct Bus {
    controller: Controller,
    now: u64,
    next: u64,
    open: BTreeMap<ConnId, Connection>,
    /// What each log has come to.
    published: Directory,
    inherited: usize,
    endpoints: BTreeSet<EndpointId>,
    /// With how many objects, the body's not counted, and whether there is one for the body.
    parked: BTreeMap<ParkId, (usize, bool)>,
    ends: BTreeMap<u64, BTreeSet<Side>>,
    pairs: u64,
    watched: BTreeSet<u32>,
}

struct Connection {
    pid: u32,
    greeter: Option<Greeter>,
    /// What the controller has answered in the handshake.
    challenge: Option<Vec<u8>>,
    hello: Vec<u8>,
    member: Option<EndpointId>,
}

/// What a batch of outputs comes of.
#[derive(Clone, Copy)]
enum Cause<'a> {
    Message(ConnId, Option<&'a ToController>, usize),
    Accepted,
    Other,
}

impl Bus {
    pub(crate) fn new(inherited: Option<Directory>, others_present: bool) -> Self {
        let mut out = Vec::new();
        let settings = Settings {
            quotas: QUOTAS,
            ..Settings::default()
        };
        let now = GENERATION;
        let controller = Controller::new(
            settings,
            credential(),
            GENERATION,
            inherited,
            others_present,
            now,
            &mut out,
        );
        let mut bus = Self {
            controller,
            now,
            next: 0,
            open: BTreeMap::new(),
            published: Directory::default(),
            inherited: 0,
            endpoints: BTreeSet::new(),
            parked: BTreeMap::new(),
            ends: BTreeMap::new(),
            pairs: 0,
            watched: BTreeSet::new(),
        };
        bus.carry_out(out, Cause::Other);
        bus
    }

    pub(crate) fn accept(&mut self, pid: u32) -> ConnId {
        let conn = self.connect(pid % 4, false);
        self.handle(
            Input::Accepted {
                conn,
                pid: pid % 4,
                uid: 1,
                nonce: [conn.0 as u8; 32],
            },
            Cause::Accepted,
        );
        conn
    }

    pub(crate) fn local(&mut self, pid: u32) -> ConnId {
        let conn = self.connect(pid % 4, true);
        self.handle(
            Input::LocalMember {
                conn,
                pid: pid % 4,
                uid: 1,
            },
            Cause::Accepted,
        );
        conn
    }

    fn connect(&mut self, pid: u32, local: bool) -> ConnId {
        self.next += 1;
        let conn = ConnId(self.next);
        let (greeter, hello) = Greeter::start(&credential(), [self.next as u8 ^ 0xff; 32]);
        self.open.insert(
            conn,
            Connection {
                pid,
                greeter: (!local).then_some(greeter),
                challenge: None,
                hello,
                member: None,
            },
        );
        conn
    }

    /// Any of the open connections.
    pub(crate) fn connection(&self, which: u8) -> Option<ConnId> {
        let index = usize::from(which).checked_rem(self.open.len())?;
        self.open.keys().nth(index).copied()
    }

    /// Sends the next packet of an honest handshake.
    pub(crate) fn greet(&mut self, conn: ConnId) {
        let Some(connection) = self.open.get_mut(&conn) else {
            return;
        };
        let Some(greeter) = &mut connection.greeter else {
            return;
        };
        let packet = match connection.challenge.take() {
            None => connection.hello.clone(),
            Some(challenge) => match greeter.handle(&challenge) {
                Ok(GreeterStep::Send(proof)) => {
                    connection.greeter = None;
                    proof
                }
                other => panic!("an honest challenge is answered by {other:?}"),
            },
        };
        self.received(conn, &packet, 0);
    }

    pub(crate) fn received(&mut self, conn: ConnId, bytes: &[u8], objects: usize) {
        let decoded = match self.controller.phase(conn) {
            Some(Phase::Admitted) => ToController::decode(bytes).ok(),
            _ => None,
        };
        let cause = Cause::Message(conn, decoded.as_ref(), objects);
        self.handle(
            Input::Received {
                conn,
                bytes,
                objects,
            },
            cause,
        );
    }

    pub(crate) fn closed(&mut self, conn: ConnId) {
        self.open.remove(&conn);
        self.handle(Input::Closed { conn }, Cause::Other);
    }

    pub(crate) fn survivor_directory(&mut self, conn: ConnId, directory: Option<Directory>) {
        // Up to date or not: as good a choice as any that the input could make.
        let current = directory.as_ref().is_none_or(|it| it.len() % 2 == 0);
        let input = Input::SurvivorDirectory {
            conn,
            directory,
            current,
        };
        self.handle(input, Cause::Other);
    }

    pub(crate) fn process(&mut self, pid: u32, died: bool) {
        let pid = pid % 4;
        let input = match died {
            true => Input::ProcessDied { pid },
            false => Input::WatchFailed { pid },
        };
        self.handle(input, Cause::Other);
    }

    /// Lets time pass, one deadline at a time, as a shell does.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.saturating_add(time.as_nanos() as u64);
        while let Some(due) = self.controller.next_deadline()
            && due <= end
        {
            self.now = self.now.max(due);
            self.handle(Input::Tick, Cause::Other);
            let next = self.controller.next_deadline();
            assert!(next.is_none_or(|next| next > due), "a deadline stays");
        }
        self.now = end;
    }

    /// Everybody leaves, all time passes, and nothing is left.
    pub(crate) fn end(mut self) {
        while let Some(conn) = self.connection(0) {
            self.closed(conn);
        }
        self.pass(Duration::from_secs(3600));
        assert!(self.endpoints.is_empty(), "{:?}", self.endpoints);
        assert!(self.published.is_empty(), "{:?}", self.published);
        assert!(self.watched.is_empty(), "{:?}", self.watched);
        // What was parked for ever stays so: its ttl is longer.
        let ever = self.controller.next_deadline();
        assert!(ever.is_none_or(|due| due == u64::MAX));
        assert!(self.parked.is_empty() || ever.is_some());
        self.now = u64::MAX;
        self.handle(Input::Tick, Cause::Other);
        assert!(self.parked.is_empty(), "{:?}", self.parked);
        assert_eq!(self.controller.next_deadline(), None);
    }

    /// The controller holds no more than it may.
    pub(crate) fn weigh(self) {
        let most = MOST_HELD + self.open.len() * MOST_HELD_EACH;
        let held = meter::held(self.controller);
        assert!(held <= most, "the controller holds {held} bytes");
    }

    fn handle(&mut self, input: Input<'_>, cause: Cause<'_>) {
        let mut out = Vec::new();
        self.controller.handle(input, self.now, &mut out);
        self.carry_out(out, cause);
    }

    fn carry_out(&mut self, out: Vec<Output>, cause: Cause<'_>) {
        let mut answers = 0;
        for output in out {
            match output {
                Output::Send {
                    conn,
                    bytes,
                    attach,
                    framed: true,
                } => {
                    let message = ToMember::decode(&bytes).expect("what is sent can be read");
                    answers += usize::from(answers_to(cause, conn, &message));
                    self.sent(conn, &message, &attach);
                }
                Output::Send { conn, bytes, .. } => {
                    let connection = self.open.get_mut(&conn).expect("it is open");
                    connection.challenge = Some(bytes);
                }
                Output::Close { conn, reason } => self.close(conn, &reason, cause),
                Output::Append(record) => self.published.apply(record),
                Output::Snapshot(records) => {
                    self.inherited = records.len();
                    self.published.apply_snapshot(records);
                }
                Output::StoreEndpoint { conn, id } => {
                    self.is_of_the_message(cause, conn, 3);
                    assert!(self.endpoints.insert(id), "{id} is kept twice");
                }
                Output::DropEndpoint(id) => assert!(self.endpoints.remove(&id), "{id} is not kept"),
                Output::StoreParked { conn, id, body } => {
                    self.is_of_the_message(cause, conn, 1);
                    let Cause::Message(_, Some(ToController::Park { objects, .. }), _) = cause
                    else {
                        panic!("this is no message to be parked")
                    };
                    let kept = self.parked.insert(id, (*objects as usize, body));
                    assert_eq!(kept, None, "{id:?} is kept twice");
                }
                Output::DropParked(id) => {
                    assert!(self.parked.remove(&id).is_some(), "{id:?} is not kept");
                }
                Output::ReadOldDirectory { conn, .. } | Output::RaiseBeaconOf { conn, .. } => {
                    self.is_of_the_message(cause, conn, 5);
                }
                Output::RaiseBeacon { to } => assert_eq!(to, GENERATION),
                Output::WatchProcess { pid } => {
                    assert_ne!(pid, 0);
                    self.watched.insert(pid);
                }
                Output::UnwatchProcess { pid } => assert!(self.watched.remove(&pid)),
                // It may be more than the limit: who is inherited stays.
                Output::Warn(ipmb_core::Strain { quota, .. }) => {
                    assert!(quota.used >= quota.limit - quota.limit / 4, "{quota:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        if let Cause::Message(conn, Some(ToController::Park { .. }), _) = cause
            && self.open.get(&conn).is_some_and(|it| it.member.is_some())
        {
            assert_eq!(answers, 1, "answers to one message to be parked");
        }
        self.check();
    }

    fn check(&self) {
        let published: Vec<Record> = self.published.snapshot().collect();
        assert_eq!(published, self.controller.snapshot());
        let (members, quotas) = (published.len(), QUOTAS);
        assert!(members <= quotas.members, "{members} members");
        let bytes = published.iter().map(|it| it.encode().len() + 4);
        assert!(bytes.sum::<usize>() <= quotas.directory_bytes);
        for &conn in self.open.keys() {
            assert!(self.controller.phase(conn).is_some());
        }
        // Both ends of a pair are out with one batch.
        assert!(self.ends.is_empty(), "{:?}", self.ends);
        let objects = |kept: &(usize, bool)| (kept.0 + usize::from(kept.1)) as u64;
        let all: u64 = self.parked.values().map(objects).sum();
        assert!(all <= quotas.parked_objects);
        let mut each = BTreeMap::new();
        for (id, kept) in &self.parked {
            *each.entry(id.sender).or_insert(0) += objects(kept);
        }
        assert!(
            each.values()
                .all(|it| *it <= quotas.parked_objects_per_endpoint)
        );
    }

    /// What is sent to a member.
    fn sent(&mut self, conn: ConnId, message: &ToMember, attach: &[Attachment]) {
        let connection = self.open.get_mut(&conn).expect("it is open");
        match message {
            ToMember::Welcome { id, .. } => {
                let member = self.published.get(*id).expect("it has been published");
                assert_eq!(member.pid, connection.pid);
                assert_eq!(connection.member.replace(*id), None, "welcome twice");
                assert!(self.endpoints.contains(id));
            }
            ToMember::Deliver { body, objects, id } => {
                let expected = (*objects as usize, matches!(body, Body::Object { .. }));
                let kept = self.parked.get(id).copied().unwrap_or_default();
                assert_eq!(kept, expected);
            }
            ToMember::Refused(_) => assert_eq!(connection.member, None),
            ToMember::Introduced { peer, .. } => {
                assert!(connection.member.is_some());
                assert!(self.published.get(*peer).is_some());
            }
            _ => assert!(connection.member.is_some()),
        }
        let objects: usize = attach.iter().map(|it| self.attached(*it)).sum();
        assert_eq!(objects, message.objects(), "with {message:?}");
    }

    /// How many objects that are.
    fn attached(&mut self, attachment: Attachment) -> usize {
        match attachment {
            Attachment::Directory | Attachment::Beacon => 1,
            Attachment::PairEnd { pair, side } => {
                let out = self.ends.entry(pair).or_default();
                assert!(out.insert(side), "an end of a pair is given twice");
                if out.len() == 2 {
                    self.ends.remove(&pair);
                    assert!(pair > self.pairs, "a pair is made again");
                    self.pairs = pair;
                }
                1
            }
            Attachment::Doorbell(id) | Attachment::InboxPage(id) | Attachment::ReadySet(id) => {
                assert!(self.endpoints.contains(&id), "{id} is not kept");
                1
            }
            Attachment::ParkedBody(id) => {
                assert!(self.parked.get(&id).is_some_and(|(_, body)| *body));
                1
            }
            Attachment::ParkedObjects(id) => self.parked.get(&id).expect("it is kept").0,
            other => panic!("{other:?}"),
        }
    }

    fn close(&mut self, conn: ConnId, reason: &CloseReason, cause: Cause<'_>) {
        let closed = self.open.remove(&conn).expect("it is open");
        let other = |from: ConnId| self.open.get(&from).is_none_or(|it| it.pid != closed.pid);
        match (reason, cause) {
            (CloseReason::Timeout, _) => assert_eq!(closed.member, None),
            (CloseReason::Refused(_), _) => assert_eq!(closed.member, None),
            (CloseReason::TooManyPending, Cause::Accepted) => assert_eq!(closed.member, None),
            (CloseReason::Replaced, Cause::Message(from, ..)) => {
                assert!(!other(from), "another process is cut off");
            }
            (_, Cause::Message(from, ..)) => assert_eq!(from, conn, "another is cut off"),
            _ => panic!("{conn} is closed without a cause: {reason}"),
        }
        assert!(!reason.to_string().is_empty());
    }

    /// An output refers to the message that has just been received, and to objects that came with it.
    fn is_of_the_message(&self, cause: Cause<'_>, conn: ConnId, objects: usize) {
        let of =
            matches!(cause, Cause::Message(from, Some(_), with) if from == conn && with >= objects);
        assert!(of, "these objects did not come");
    }
}

/// Whether it says what becomes of a message that was to be parked.
fn answers_to(cause: Cause<'_>, to: ConnId, message: &ToMember) -> bool {
    let Cause::Message(
        from,
        Some(ToController::Park {
            sequence: asked, ..
        }),
        _,
    ) = cause
    else {
        return false;
    };
    match message {
        ToMember::Parked { sequence }
        | ToMember::Routable { sequence, .. }
        | ToMember::ParkRefused { sequence, .. }
        | ToMember::Delivered { sequence, .. }
        | ToMember::Expired { sequence } => from == to && sequence == asked,
        _ => false,
    }
}

fn credential() -> Credential {
    Credential::new("bus", "token")
}

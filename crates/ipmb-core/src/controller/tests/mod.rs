//! The controller in virtual time: a test plays the shell.

mod failover;
mod hostile;
mod introducing;
mod joining;
mod model;
mod parking;
mod quotas;

use std::time::Duration;

use super::*;
use crate::{
    Body, Greeter, GreeterStep, Label, LabelOp, Overflow, ReceiveLimits, Selector, Survivor,
};

const SECOND: u64 = 1_000_000_000;
const GENERATION: u64 = 1000;
const LIMITS: ReceiveLimits = ReceiveLimits {
    message: 1 << 20,
    budget: 1 << 20,
    overflow: Overflow::Block,
};

/// A controller, the time, and what came out of it since somebody looked.
struct Bus {
    controller: Controller,
    now: u64,
    /// Whose processes connect.
    uid: u32,
    out: Vec<Output>,
}

impl Bus {
    fn new() -> Self {
        Self::with(Settings::default(), None, false)
    }

    fn with(settings: Settings, inherited: Option<Directory>, others_present: bool) -> Self {
        let mut out = Vec::new();
        let now = 10 * SECOND;
        let controller = Controller::new(
            settings,
            credential(),
            GENERATION,
            inherited,
            others_present,
            now,
            &mut out,
        );
        Self {
            controller,
            now,
            uid: 1,
            out,
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.controller.handle(input, self.now, &mut self.out);
    }

    /// Lets time pass, one deadline at a time, as a shell does.
    fn pass(&mut self, time: Duration) {
        let end = after(self.now, time);
        while let Some(due) = self.controller.next_deadline()
            && due <= end
        {
            self.now = self.now.max(due);
            self.handle(Input::Tick);
            assert_ne!(
                self.controller.next_deadline(),
                Some(due),
                "a deadline that does not go away keeps the shell busy"
            );
        }
        self.now = end;
    }

    fn accept(&mut self, conn: u64, pid: u32) {
        self.handle(Input::Accepted {
            conn: ConnId(conn),
            pid,
            uid: self.uid,
            nonce: [conn as u8; 32],
        });
    }

    /// Connects and shakes hands.
    fn admit(&mut self, conn: u64, pid: u32) {
        self.accept(conn, pid);
        let (mut greeter, hello) = Greeter::start(&credential(), [7; 32]);
        self.raw(conn, &hello);
        let challenge = match self.out.pop() {
            Some(Output::Send {
                bytes,
                framed: false,
                ..
            }) => bytes,
            other => panic!("no challenge, but {other:?}"),
        };
        let Ok(GreeterStep::Send(proof)) = greeter.handle(&challenge) else {
            panic!("the challenge is wrong");
        };
        self.raw(conn, &proof);
        assert_eq!(
            self.controller.phase(ConnId(conn)),
            Some(Phase::Admitted),
            "{:?}",
            self.out
        );
    }

    fn raw(&mut self, conn: u64, bytes: &[u8]) {
        let conn = ConnId(conn);
        self.handle(Input::Received {
            conn,
            bytes,
            objects: 0,
        });
    }

    fn say(&mut self, conn: u64, message: ToController) {
        self.handle(Input::Received {
            conn: ConnId(conn),
            bytes: &message.encode(),
            objects: message.objects(),
        });
    }

    /// Connects, shakes hands and registers, as endpoint `conn` of process `conn`.
    fn join(&mut self, conn: u64, label: &str) {
        self.admit(conn, conn as u32);
        self.say(conn, register(conn, label));
    }

    /// The same, for an endpoint that was on the bus before.
    fn rejoin(&mut self, conn: u64, label: &str, survivor: Survivor) {
        self.admit(conn, conn as u32);
        self.say(conn, register_survivor(conn, label, survivor));
    }

    fn park(&mut self, conn: u64, sequence: u64, label: &str, ttl: Duration) {
        self.say(conn, park(sequence, label, ttl));
    }

    fn close(&mut self, conn: u64) {
        self.handle(Input::Closed { conn: ConnId(conn) });
    }

    /// What came out, in short, but for warnings; forgotten afterwards.
    fn news(&mut self) -> Vec<String> {
        let out = self.out.drain(..);
        let out = out.filter(|output| !matches!(output, Output::Warn(_)));
        out.map(|output| brief(&output)).collect()
    }

    /// The warnings that came out; all that came out is forgotten afterwards.
    fn warnings(&mut self) -> Vec<String> {
        let out = self.out.drain(..);
        let out = out.filter(|output| matches!(output, Output::Warn(_)));
        out.map(|output| brief(&output)).collect()
    }
}

fn credential() -> Credential {
    Credential::new("bus", "token")
}

fn register(id: u64, label: &str) -> ToController {
    ToController::Register {
        id: EndpointId(id),
        label: Label::from(label.split(' ')),
        limits: LIMITS,
        receiving: true,
        survivor: None,
    }
}

fn register_survivor(id: u64, label: &str, survivor: Survivor) -> ToController {
    ToController::Register {
        id: EndpointId(id),
        label: Label::from(label.split(' ')),
        limits: LIMITS,
        receiving: true,
        survivor: Some(survivor),
    }
}

fn survivor(order: u64) -> Survivor {
    Survivor {
        order,
        generation: GENERATION - 1,
        delivered: Vec::new(),
    }
}

fn park(sequence: u64, label: &str, ttl: Duration) -> ToController {
    ToController::Park {
        sequence,
        selector: Selector {
            ttl,
            ..Selector::unicast(LabelOp::from(label))
        },
        over: 0,
        body: Body::Inline(vec![sequence as u8]),
        objects: 0,
    }
}

fn introduce(peer: u64, after: u64) -> ToController {
    ToController::Introduce {
        peer: EndpointId(peer),
        after,
    }
}

fn park_id(sender: u64, sequence: u64) -> ParkId {
    ParkId {
        sender: EndpointId(sender),
        sequence,
    }
}

/// A directory whose members are endpoint n of process n, with order n.
fn directory(members: &[(u64, &str)]) -> Directory {
    let mut directory = Directory::default();
    for (id, label) in members {
        directory.apply(Record::Join(crate::Member {
            id: EndpointId(*id),
            order: *id,
            pid: *id as u32,
            uid: 1,
            label: Label::from(label.split(' ')),
            receiving: true,
            limits: LIMITS,
        }));
    }
    directory
}

/// An output as a short line: tests compare whole lists of them, so that order and absence count.
fn brief(output: &Output) -> String {
    let park = |id: &ParkId| format!("{}.{}", id.sender.0, id.sequence);
    match output {
        Output::Send {
            conn,
            bytes,
            attach,
            framed: true,
        } => {
            let message = ToMember::decode(bytes).expect("what a controller sends can be read");
            assert!(message.objects() >= attach.len());
            let what = match message {
                ToMember::Welcome { deliveries, .. } => format!("welcome({deliveries})"),
                ToMember::Refused(reason) => format!("refused({reason:?})"),
                ToMember::Deliver { id, .. } => format!("deliver({})", park(&id)),
                ToMember::Introduced {
                    peer,
                    introduced_by_you,
                    ..
                } => {
                    let Some(Attachment::PairEnd { pair, .. }) = attach.first() else {
                        panic!("an introduction without a channel");
                    };
                    let whose = if introduced_by_you { "" } else { "'" };
                    format!("introduced({}{whose}, pair {pair})", peer.0)
                }
                ToMember::NoSuchPeer { peer } => format!("no peer({})", peer.0),
                ToMember::Parked { sequence } => format!("parked({sequence})"),
                ToMember::Routable { sequence, .. } => format!("routable({sequence})"),
                ToMember::ParkRefused { sequence, reason } => match reason {
                    crate::ParkRefusal::Full {
                        whose,
                        what,
                        quota,
                        wanted,
                    } => format!(
                        "park refused({sequence}, {whose:?}: {quota} {what}, {wanted} more)"
                    ),
                    reason => format!("park refused({sequence}, {reason:?})"),
                },
                ToMember::Delivered { sequence, to } => match to {
                    Some(to) => format!("delivered({sequence} to {})", to.0),
                    None => format!("delivered({sequence})"),
                },
                ToMember::Expired { sequence } => format!("expired({sequence})"),
                ToMember::Left => "left".to_owned(),
            };
            format!("{conn} {what}")
        }
        Output::Send { conn, .. } => format!("{conn} raw"),
        Output::Close { conn, reason } => format!("{conn} close: {reason}"),
        Output::Append(Record::Join(member)) => format!("join {}", member.id.0),
        Output::Append(Record::Leave(id)) => format!("leave {}", id.0),
        Output::Append(Record::GivenUp(id)) => format!("given up {}", id.0),
        Output::Append(Record::Receiving(id, on)) => format!("receiving {} {on}", id.0),
        Output::Snapshot(records) => format!("snapshot of {}", records.len()),
        Output::StoreEndpoint { conn, .. } => format!("{conn} store"),
        Output::DropEndpoint(id) => format!("drop {}", id.0),
        Output::StoreParked { id, .. } => format!("store {}", park(id)),
        Output::DropParked(id) => format!("drop {}", park(id)),
        Output::ReadOldDirectory { conn, .. } => format!("{conn} read directory"),
        Output::RaiseBeacon { .. } => "raise beacon".to_owned(),
        Output::RaiseBeaconOf { conn, .. } => format!("{conn} raise beacon"),
        Output::WatchProcess { pid } => format!("watch {pid}"),
        Output::UnwatchProcess { pid } => format!("unwatch {pid}"),
        Output::Warn(Strain { what, uid, quota }) => format!("{uid:?}: {quota} {what}"),
    }
}

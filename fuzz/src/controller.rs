//! The controller as a sequence of whatever can happen to it.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use ipmb_core::{
    Body, Directory, EndpointId, Label, LabelOp, Member, Overflow, ParkId, ReceiveLimits, Record,
    Selector, SelectorMode, Survivor, ToController,
};

use crate::bus::{Bus, GENERATION};

const WORDS: [&str; 4] = ["a", "b", "c", "much too long for the label"];

#[derive(Debug, Arbitrary)]
struct Start {
    inherited: Option<Vec<(u8, u8)>>,
    others_present: bool,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Accept {
        pid: u8,
    },
    Local {
        pid: u8,
    },
    /// The next packet of an honest handshake, until it is over.
    Greet(u8),
    /// Connects, shakes hands and registers.
    Join {
        pid: u8,
        id: u8,
        words: u8,
    },
    Say(u8, Said),
    /// With more or fewer objects than belong to it.
    SayWith(u8, Said, u8),
    Raw(u8, Vec<u8>, u8),
    Close(u8),
    SurvivorDirectory(u8, Option<Vec<(u8, u8)>>),
    ProcessDied(u8),
    WatchFailed(u8),
    Pass(u16),
}

/// Control messages, with few ids and words, so that they have to do with each other.
#[derive(Debug, Arbitrary)]
enum Said {
    Register {
        id: u8,
        words: u8,
        receiving: bool,
        survivor: Option<Before>,
    },
    Introduce(u8, u8),
    Park {
        sequence: u8,
        op: Expression,
        multicast: bool,
        ttl: u16,
        body: Result<u16, u32>,
        objects: u8,
    },
    Took(Vec<(u8, u8)>),
    StopReceiving(Vec<u8>),
    Withdraw(u8),
    Leave,
}

/// What a survivor brings.
#[derive(Debug, Arbitrary)]
struct Before {
    order: u8,
    generation: i8,
    delivered: Vec<(u8, u8)>,
}

#[derive(Debug, Arbitrary)]
enum Expression {
    True,
    Word(u8),
    NotWord(u8),
    Either(u8, u8),
    Both(u8, u8),
}

/// Whatever happens, in whatever order: see `bus.rs` for what holds.
pub fn controller(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(start) = Start::arbitrary(&mut data) else {
        return;
    };
    let inherited = start.inherited.map(|members| directory(&members));
    let leave_all = data.arbitrary().unwrap_or_default();
    let mut bus = Bus::new(inherited, start.others_present);
    while !data.is_empty()
        && let Ok(step) = Step::arbitrary(&mut data)
    {
        apply(&mut bus, step);
    }
    match leave_all {
        true => bus.end(),
        false => bus.weigh(),
    }
}

fn apply(bus: &mut Bus, step: Step) {
    match step {
        Step::Accept { pid } => drop(bus.accept(pid.into())),
        Step::Local { pid } => drop(bus.local(pid.into())),
        Step::Greet(who) => {
            if let Some(conn) = bus.connection(who) {
                bus.greet(conn);
            }
        }
        Step::Join { pid, id, words } => {
            let conn = bus.accept(pid.into());
            (0..2).for_each(|_| bus.greet(conn));
            let register = Said::Register {
                id,
                words,
                receiving: true,
                survivor: None,
            };
            let message = ToController::from(register);
            bus.received(conn, &message.encode(), message.objects());
        }
        Step::Say(who, said) => {
            if let Some(conn) = bus.connection(who) {
                let message = ToController::from(said);
                bus.received(conn, &message.encode(), message.objects());
            }
        }
        Step::SayWith(who, said, objects) => {
            if let Some(conn) = bus.connection(who) {
                let message = ToController::from(said);
                bus.received(conn, &message.encode(), objects.into());
            }
        }
        Step::Raw(who, bytes, objects) => {
            if let Some(conn) = bus.connection(who) {
                bus.received(conn, &bytes, objects.into());
            }
        }
        Step::Close(who) => {
            if let Some(conn) = bus.connection(who) {
                bus.closed(conn);
            }
        }
        Step::SurvivorDirectory(who, members) => {
            if let Some(conn) = bus.connection(who) {
                bus.survivor_directory(conn, members.map(|members| directory(&members)));
            }
        }
        Step::ProcessDied(pid) => bus.process(pid.into(), true),
        Step::WatchFailed(pid) => bus.process(pid.into(), false),
        Step::Pass(milliseconds) => bus.pass(Duration::from_millis(milliseconds.into())),
    }
}

impl From<Said> for ToController {
    fn from(said: Said) -> Self {
        match said {
            Said::Register {
                id,
                words,
                receiving,
                survivor,
            } => Self::Register {
                id: endpoint(id),
                label: label(words),
                limits: LIMITS,
                receiving,
                survivor: survivor.map(|before| Survivor {
                    order: before.order.into(),
                    generation: (GENERATION - 1).saturating_add_signed(before.generation.into()),
                    delivered: ids(before.delivered),
                }),
            },
            Said::Introduce(peer, after) => Self::Introduce {
                peer: endpoint(peer),
                after: after.into(),
            },
            Said::Park {
                sequence,
                op,
                multicast,
                ttl,
                body,
                objects,
            } => Self::Park {
                sequence: sequence.into(),
                selector: Selector {
                    label_op: op.into(),
                    mode: match multicast {
                        true => SelectorMode::Multicast,
                        false => SelectorMode::Unicast,
                    },
                    ttl: match ttl {
                        u16::MAX => Duration::MAX,
                        ttl => Duration::from_millis(ttl.into()),
                    },
                },
                over: match ttl {
                    0 => u64::from(sequence) << 20,
                    _ => 0,
                },
                body: match body {
                    Ok(len) => Body::Inline(vec![7; usize::from(len) % (17 << 10)]),
                    Err(len) => Body::Object { len: len.into() },
                },
                objects: u32::from(objects) % 8,
            },
            Said::Took(taken) => Self::Took { ids: ids(taken) },
            Said::StopReceiving(askers) => Self::StopReceiving {
                askers: askers.into_iter().map(endpoint).collect(),
            },
            Said::Withdraw(sequence) => Self::Withdraw {
                sequence: sequence.into(),
            },
            Said::Leave => Self::Leave,
        }
    }
}

impl From<Expression> for LabelOp {
    fn from(op: Expression) -> Self {
        let word = |index: u8| Self::from(WORDS[usize::from(index) % WORDS.len()]);
        match op {
            Expression::True => Self::True,
            Expression::Word(only) => word(only),
            Expression::NotWord(only) => !word(only),
            Expression::Either(one, other) => word(one).or(word(other)),
            Expression::Both(one, other) => word(one).and(word(other)),
        }
    }
}

const LIMITS: ReceiveLimits = ReceiveLimits {
    message: 1 << 20,
    budget: 1 << 20,
    overflow: Overflow::Block,
};

fn endpoint(id: u8) -> EndpointId {
    EndpointId(u64::from(id) % 6)
}

fn label(words: u8) -> Label {
    let words = (0..4).filter(|bit| words & 1 << bit != 0);
    Label::from(words.map(|bit| WORDS[bit]))
}

fn ids(ids: Vec<(u8, u8)>) -> Vec<ParkId> {
    let id = |(sender, sequence): (u8, u8)| ParkId {
        sender: endpoint(sender),
        sequence: sequence.into(),
    };
    ids.into_iter().map(id).collect()
}

/// Members as an earlier controller may have known them, whatever the quotas of this one.
fn directory(members: &[(u8, u8)]) -> Directory {
    let mut directory = Directory::default();
    for &(id, words) in members {
        directory.apply(Record::Join(Member {
            id: endpoint(id),
            order: u64::from(id),
            pid: u32::from(id) % 4,
            uid: 1,
            label: label(words),
            receiving: words & 16 == 0,
            limits: LIMITS,
        }));
    }
    directory
}

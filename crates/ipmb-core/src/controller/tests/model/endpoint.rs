//! An endpoint, as the control messages ask it to behave.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::*;

/// A message, by its sender and the sender's count: also the id under which it is parked.
pub(super) type Message = ParkId;

pub(super) struct Endpoint {
    pub(super) id: EndpointId,
    pub(super) label: Label,
    pub(super) conn: Option<ConnId>,
    /// Of the controller that welcomed it last.
    pub(super) generation: Option<u64>,
    order: u64,
    pub(super) up: VecDeque<ToController>,
    pub(super) down: VecDeque<ToMember>,
    /// Waiting for its turn to be sent, oldest first.
    pub(super) outbox: VecDeque<(u64, &'static str)>,
    /// Parked, and whether the present controller has said that it keeps it.
    pub(super) pending: BTreeMap<u64, (&'static str, bool)>,
    /// Delivered, but not valid before the welcome.
    pub(super) staged: Vec<Message>,
    took: Vec<Message>,
    /// What others sent here directly and it has not read.
    pub(super) lane: VecDeque<Message>,
    pub(super) received: Vec<Message>,
    pub(super) sent: BTreeSet<u64>,
}

impl Endpoint {
    pub(super) fn new(id: u64, label: Label) -> Self {
        Self {
            id: EndpointId(id),
            label,
            conn: None,
            generation: None,
            order: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            outbox: VecDeque::new(),
            pending: BTreeMap::new(),
            staged: Vec::new(),
            took: Vec::new(),
            lane: VecDeque::new(),
            received: Vec::new(),
            sent: BTreeSet::new(),
        }
    }

    /// A new connection: registers on it.
    pub(super) fn register(&mut self, conn: ConnId) {
        self.conn = Some(conn);
        self.staged.clear();
        self.up.push_back(ToController::Register {
            id: self.id,
            label: self.label.clone(),
            limits: LIMITS,
            receiving: true,
            survivor: self.generation.map(|generation| Survivor {
                order: self.order,
                generation,
                delivered: self.took.clone(),
            }),
        });
    }

    /// The connection is gone: no answer that it gave counts any more.
    pub(super) fn disconnect(&mut self) {
        self.conn = None;
        self.up.clear();
        for (_, answered) in self.pending.values_mut() {
            *answered = false;
        }
    }

    /// Whether it may send the next message from its outbox.
    pub(super) fn may_send(&self) -> bool {
        self.generation.is_some() && self.pending.values().all(|(_, answered)| *answered)
    }

    pub(super) fn park(&mut self, sequence: u64, label: &'static str) {
        self.pending.insert(sequence, (label, false));
        if self.conn.is_some() {
            self.up
                .push_back(super::super::park(sequence, label, Duration::MAX));
        }
    }

    /// Takes note of what the controller says. Returns the message that it is to send itself.
    pub(super) fn hear(&mut self, message: ToMember) -> Option<(u64, &'static str)> {
        match message {
            ToMember::Deliver { id, .. } => {
                self.staged.push(id);
                None
            }
            ToMember::Welcome {
                order,
                generation,
                deliveries,
                ..
            } => {
                assert_eq!(self.staged.len(), deliveries as usize);
                self.order = order;
                self.generation = Some(generation);
                if deliveries > 0 {
                    self.take_staged();
                }
                let again: Vec<_> = self.pending.iter().map(|(s, (l, _))| (*s, *l)).collect();
                for (sequence, label) in again {
                    self.park(sequence, label);
                }
                None
            }
            ToMember::Parked { sequence } => {
                let pending = self.pending.get_mut(&sequence);
                pending.expect("only what is pending is parked").1 = true;
                None
            }
            ToMember::Delivered { sequence } => {
                self.pending.remove(&sequence);
                None
            }
            ToMember::Routable { sequence } => {
                let (label, _) = self.pending.remove(&sequence)?;
                Some((sequence, label))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Messages that came after the welcome are valid at once.
    pub(super) fn take_staged(&mut self) {
        let ids = std::mem::take(&mut self.staged);
        self.received.extend(&ids);
        self.took.extend(&ids);
        self.up.push_back(ToController::Took { ids });
    }

    pub(super) fn read_lane(&mut self) {
        if self.generation.is_some() {
            self.received.extend(self.lane.drain(..));
        }
    }
}

//! An endpoint, as the control messages ask it to behave.

use std::collections::{BTreeMap, VecDeque};

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
    /// On this connection.
    welcome: bool,
    pub(super) up: VecDeque<ToController>,
    pub(super) down: VecDeque<ToMember>,
    /// Waiting for its turn to be sent, oldest first.
    pub(super) outbox: BTreeMap<u64, &'static str>,
    /// Parked, and nothing is known of what became of it.
    pub(super) pending: BTreeMap<u64, &'static str>,
    /// Delivered, but not valid before the welcome.
    pub(super) staged: Vec<Message>,
    took: Vec<Message>,
    /// What others sent here directly and it has not read.
    pub(super) lane: VecDeque<Message>,
    pub(super) received: Vec<Message>,
    /// What it sent, by the label it is for.
    pub(super) sent: BTreeMap<u64, &'static str>,
}

impl Endpoint {
    pub(super) fn new(id: u64, label: Label) -> Self {
        Self {
            id: EndpointId(id),
            label,
            conn: None,
            generation: None,
            order: 0,
            welcome: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
            outbox: BTreeMap::new(),
            pending: BTreeMap::new(),
            staged: Vec::new(),
            took: Vec::new(),
            lane: VecDeque::new(),
            received: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// A new connection: registers on it.
    pub(super) fn register(&mut self, conn: ConnId) {
        self.conn = Some(conn);
        self.welcome = false;
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

    /// The connection is gone.
    pub(super) fn disconnect(&mut self) {
        self.conn = None;
        self.welcome = false;
        self.up.clear();
    }

    /// Whether an earlier message, which it parked, may be on its way to somebody of that label.
    pub(super) fn holds_back(&self, sequence: u64, label: &Label) -> bool {
        let mut earlier = self.pending.range(..sequence);
        earlier.any(|(_, word)| label.contains(word))
    }

    pub(super) fn park(&mut self, sequence: u64, label: &'static str) {
        self.pending.insert(sequence, label);
        if self.welcome {
            self.up
                .push_back(super::super::park(sequence, label, Duration::MAX));
        }
    }

    /// Takes note of what the controller says.
    pub(super) fn hear(&mut self, message: ToMember) {
        match message {
            ToMember::Deliver { id, .. } => {
                self.staged.push(id);
                // Before the welcome it is not valid.
                if self.welcome {
                    self.take_staged();
                }
            }
            ToMember::Welcome {
                order,
                generation,
                deliveries,
                ..
            } => {
                assert_eq!(self.staged.len(), deliveries as usize);
                self.welcome = true;
                self.order = order;
                self.generation = Some(generation);
                if deliveries > 0 {
                    self.take_staged();
                }
                // In order, with what it was told to send itself and could not yet.
                if let Some((&last, _)) = self.pending.last_key_value() {
                    let later = self.outbox.split_off(&last);
                    self.pending.append(&mut self.outbox);
                    self.outbox = later;
                }
                for (sequence, label) in self.pending.clone() {
                    self.park(sequence, label);
                }
            }
            ToMember::Parked { sequence } => {
                assert!(self.pending.contains_key(&sequence));
            }
            ToMember::Delivered { sequence, .. } => {
                self.pending.remove(&sequence);
            }
            ToMember::Routable { sequence, .. } => {
                if let Some(label) = self.pending.remove(&sequence) {
                    self.outbox.insert(sequence, label);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn take_staged(&mut self) {
        let ids = std::mem::take(&mut self.staged);
        self.received.extend(&ids);
        self.took.extend(&ids);
        self.up.push_back(ToController::Took { ids });
    }

    /// What it is or will be told to send itself, and has not sent.
    pub(super) fn returned(&self) -> impl Iterator<Item = Message> {
        let heard = self.outbox.keys().copied();
        let unheard = self.down.iter().filter_map(|message| match *message {
            ToMember::Routable { sequence, .. } => Some(sequence),
            _ => None,
        });
        heard
            .chain(unheard)
            .map(|sequence| park_id(self.id.0, sequence))
    }

    pub(super) fn read_lane(&mut self) {
        if self.generation.is_some() {
            self.received.extend(self.lane.drain(..));
        }
    }
}

//! Everything around the controller.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestCaseError};

use super::{
    super::*,
    endpoint::{Endpoint, Message},
};
use crate::SelectorMode;

const LABELS: [&str; 3] = ["a", "b", "c"];
/// An endpoint has one of these, or none.
const SETS: [&[&str]; 6] = [&["a"], &["b"], &["c"], &["a", "b"], &["b", "c"], &[]];

#[derive(Default)]
pub(super) struct World {
    controller: Option<Controller>,
    now: u64,
    endpoints: Vec<Endpoint>,
    /// What each controller published, and how far its beacon has been raised.
    published: BTreeMap<u64, (Directory, u64)>,
    /// Messages that a dead endpoint may have, has read, or should have had.
    buried: BTreeSet<Message>,
    /// Messages that were routable, perhaps to somebody who died before they were sent. They have lost
    /// their place: what was parked after them may be delivered before they are sent to another.
    displaced: BTreeSet<Message>,
    /// What each message is for.
    words: BTreeMap<Message, &'static str>,
    ids: u64,
}

impl World {
    pub(super) fn appear(&mut self, labels: usize) {
        self.ids += 1;
        self.endpoints
            .push(Endpoint::new(self.ids, Label::from(SETS[labels])));
    }

    pub(super) fn send(&mut self, who: usize, label: usize) {
        let Some(who) = self.index(who) else { return };
        let endpoint = &mut self.endpoints[who];
        let sequence = endpoint.sent.len() as u64;
        endpoint.sent.insert(sequence, LABELS[label]);
        let message = park_id(endpoint.id.0, sequence);
        self.words.insert(message, LABELS[label]);
        endpoint.outbox.insert(sequence, LABELS[label]);
        self.flush(who);
    }

    pub(super) fn up(&mut self, who: usize) {
        let Some(who) = self.index(who) else { return };
        let endpoint = &mut self.endpoints[who];
        if let Some(conn) = endpoint.conn
            && let Some(message) = endpoint.up.pop_front()
        {
            let bytes = message.encode();
            self.handle(Input::Received {
                conn,
                bytes: &bytes,
                objects: message.objects(),
            });
        }
    }

    pub(super) fn down(&mut self, who: usize) {
        let Some(who) = self.index(who) else { return };
        let endpoint = &mut self.endpoints[who];
        let Some(message) = endpoint.down.pop_front() else {
            return;
        };
        endpoint.hear(message);
        // A welcome is news to those who wait to be introduced.
        (0..self.endpoints.len()).for_each(|who| self.flush(who));
    }

    pub(super) fn kill(&mut self, who: usize) {
        let Some(who) = self.index(who) else { return };
        let endpoint = self.endpoints.remove(who);
        self.displaced
            .extend(self.endpoints.iter().flat_map(Endpoint::returned));
        self.buried.extend(&endpoint.received);
        self.buried.extend(&endpoint.lane);
        self.buried.extend(&endpoint.staged);
        self.buried
            .extend(endpoint.down.iter().filter_map(|message| match message {
                ToMember::Deliver { id, .. } => Some(*id),
                _ => None,
            }));
        if let Some(conn) = endpoint.conn {
            self.handle(Input::Closed { conn });
        }
        let pid = endpoint.id.0 as u32;
        self.handle(Input::ProcessDied { pid });
    }

    pub(super) fn kill_controller(&mut self, kept: usize) {
        if self.controller.take().is_none() {
            return;
        }
        for endpoint in &mut self.endpoints {
            endpoint.disconnect();
            endpoint.down.truncate(kept % (endpoint.down.len() + 1));
        }
    }

    pub(super) fn elect(&mut self, who: usize) {
        let Some(who) = self.index(who) else { return };
        if self.controller.is_some() {
            return;
        }
        self.catch_up(who);
        self.now += 1;
        let known = self.endpoints[who].generation.filter(|generation| {
            let (_, beacon) = &self.published[generation];
            beacon == generation
        });
        let inherited = known.map(|generation| self.published[&generation].0.clone());
        let others_present = (self.endpoints.iter().enumerate())
            .any(|(other, endpoint)| other != who && endpoint.generation.is_some());
        let generation = self.now;
        self.published
            .insert(generation, (Directory::default(), generation));
        let settings = Settings {
            // A living member that is given up may have what is sent to another then.
            patience: Duration::from_secs(1 << 30),
            ..Settings::default()
        };
        let mut out = Vec::new();
        self.controller = Some(Controller::new(
            settings,
            credential(),
            generation,
            inherited,
            others_present,
            self.now,
            &mut out,
        ));
        for output in &out {
            if let (Output::RaiseBeacon { to }, Some(known)) = (output, known) {
                self.raise(known, *to);
            }
        }
        self.carry_out(out);
        self.connect(who);
    }

    pub(super) fn connect(&mut self, who: usize) {
        let Some(who) = self.index(who) else { return };
        if self.controller.is_none() || self.endpoints[who].conn.is_some() {
            return;
        }
        self.catch_up(who);
        self.ids += 1;
        let conn = ConnId(self.ids);
        self.endpoints[who].register(conn);
        self.handle(Input::LocalMember {
            conn,
            pid: self.endpoints[who].id.0 as u32,
            uid: 1,
        });
    }

    /// Time passes, in which survivors come back: who does not within that time is not waited for, and
    /// what it received under a controller that nobody else remembers can come to another as well.
    pub(super) fn settle(&mut self) {
        for who in 0..self.endpoints.len() {
            if self.endpoints[who].generation.is_some() {
                self.connect(who);
                self.up(who);
            }
        }
        let end = self.now + SECOND;
        while let Some(due) = self.controller.as_ref().and_then(Controller::next_deadline)
            && due <= end
        {
            self.now = self.now.max(due);
            self.handle(Input::Tick);
        }
        self.now = end;
    }

    /// Everybody comes back, somebody comes for every label, and everything is said.
    pub(super) fn come_to_rest(&mut self) {
        self.appear(5);
        for _ in 0..2 {
            for who in 0..self.endpoints.len() {
                self.elect(who);
                self.connect(who);
            }
            self.talk();
            self.settle();
            self.talk();
            LABELS.iter().enumerate().for_each(|(i, _)| self.appear(i));
        }
    }

    fn talk(&mut self) {
        let busy = |endpoint: &Endpoint| !endpoint.up.is_empty() || !endpoint.down.is_empty();
        while self.endpoints.iter().any(busy) {
            for who in 0..self.endpoints.len() {
                self.up(who);
                self.down(who);
            }
        }
    }

    pub(super) fn check_order(&mut self) -> Result<(), TestCaseError> {
        for receiver in &mut self.endpoints {
            receiver.read_lane();
            let mut last = BTreeMap::new();
            let placed = (receiver.received.iter()).filter(|id| !self.displaced.contains(id));
            for message in placed {
                let stream = (message.sender, self.words[message]);
                let before = last.insert(stream, message.sequence);
                prop_assert!(
                    before.is_none_or(|before| before < message.sequence),
                    "{:?} reached {} after {:?}",
                    message,
                    receiver.id,
                    before
                );
            }
        }
        Ok(())
    }

    pub(super) fn check_all_arrived(&self) -> Result<(), TestCaseError> {
        let mut arrived = BTreeSet::new();
        for endpoint in &self.endpoints {
            for message in &endpoint.received {
                prop_assert!(arrived.insert(*message), "{:?} came twice", message);
            }
        }
        for sender in &self.endpoints {
            prop_assert!(sender.outbox.is_empty(), "{} holds back", sender.id);
            prop_assert!(sender.pending.is_empty(), "{} is not told", sender.id);
            for &sequence in sender.sent.keys() {
                let message = park_id(sender.id.0, sequence);
                prop_assert!(
                    arrived.contains(&message) || self.buried.contains(&message),
                    "{:?} is lost",
                    message
                );
            }
        }
        Ok(())
    }

    /// Sends what stands in the outbox, as far as that is allowed.
    fn flush(&mut self, who: usize) {
        while let Some((&sequence, &label)) = self.endpoints[who].outbox.first_key_value()
            && let Some(directory) = self.view(who)
        {
            let matching = directory.matching(&LabelOp::from(label), SelectorMode::Unicast);
            let receiver = matching.first().and_then(|id| directory.get(*id)).cloned();
            if let Some(receiver) = &receiver {
                // Who has not heard its welcome has not been introduced to anybody.
                let introduced = (self.endpoints.iter())
                    .all(|found| found.id != receiver.id || found.generation.is_some());
                if !introduced || self.endpoints[who].holds_back(sequence, &receiver.label) {
                    break;
                }
            }
            self.endpoints[who].outbox.pop_first();
            match receiver {
                None => self.endpoints[who].park(sequence, label),
                Some(receiver) => {
                    self.push(park_id(self.endpoints[who].id.0, sequence), receiver.id)
                }
            }
        }
    }

    /// Sends through a lane.
    fn push(&mut self, message: Message, receiver: EndpointId) {
        match self.endpoints.iter_mut().find(|found| found.id == receiver) {
            Some(found) => found.lane.push_back(message),
            None => drop(self.buried.insert(message)),
        }
    }

    /// What an endpoint sees of the directory, unless it sees that it is out of date.
    fn view(&self, who: usize) -> Option<&Directory> {
        let generation = self.endpoints[who].generation?;
        let (directory, beacon) = &self.published[&generation];
        (*beacon == generation).then_some(directory)
    }

    /// Reads what the last controller sent before it died.
    fn catch_up(&mut self, who: usize) {
        let endpoint = &mut self.endpoints[who];
        while let Some(message) = endpoint.down.pop_front() {
            endpoint.hear(message);
        }
        endpoint.disconnect();
    }

    fn raise(&mut self, generation: u64, to: u64) {
        if let Some((_, beacon)) = self.published.get_mut(&generation) {
            *beacon = to.max(*beacon);
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        if let Some(controller) = &mut self.controller {
            controller.handle(input, self.now, &mut out);
        }
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        let Some(generation) = self.controller.as_ref().map(Controller::generation) else {
            return;
        };
        let (mut read, mut dead) = (Vec::new(), Vec::new());
        for output in out {
            match output {
                Output::Send { conn, bytes, .. } => {
                    let message = ToMember::decode(&bytes).expect("it can be read");
                    if let Some(endpoint) = self.by_conn(conn) {
                        endpoint.down.push_back(message);
                    }
                }
                Output::Append(record) => self.directory(generation).apply(record),
                Output::Snapshot(records) => self.directory(generation).apply_snapshot(records),
                Output::ReadOldDirectory { conn, generation } => {
                    let (directory, beacon) = &self.published[&generation];
                    read.push((conn, directory.clone(), *beacon == generation));
                }
                Output::RaiseBeaconOf { conn, to } => {
                    if let Some(old) = self.by_conn(conn).and_then(|endpoint| endpoint.generation) {
                        self.raise(old, to);
                    }
                }
                Output::WatchProcess { pid } => {
                    let alive = self.endpoints.iter().any(|e| e.id.0 as u32 == pid);
                    dead.extend((!alive).then_some(pid));
                }
                Output::Close { conn, reason } => panic!("{conn} {reason}"),
                _ => {}
            }
        }
        for (conn, directory, current) in read {
            let directory = Some(directory);
            self.handle(Input::SurvivorDirectory {
                conn,
                directory,
                current,
            });
        }
        for pid in dead {
            self.handle(Input::ProcessDied { pid });
        }
    }

    fn directory(&mut self, generation: u64) -> &mut Directory {
        &mut self.published.entry(generation).or_default().0
    }

    fn by_conn(&mut self, conn: ConnId) -> Option<&mut Endpoint> {
        self.endpoints.iter_mut().find(|e| e.conn == Some(conn))
    }

    fn index(&self, who: usize) -> Option<usize> {
        who.checked_rem(self.endpoints.len())
    }
}

//! The requests of this endpoint that have no reply yet, and the threads that wait for one.

use super::{attachments::Incoming, kept::Kept, rx::Rx};
use crate::{SendError, patience::Patience};
use ipmb_core::EndpointId;
use ipmb_sys::Doorbell;
use smallvec::SmallVec;
use std::{
    collections::{HashMap, hash_map},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

pub(super) struct Requests {
    numbers: Numbers,
    entries: HashMap<u64, Entry, BuildHasherDefault<AsItIs>>,
    /// Who owes replies, and how many.
    debtors: Vec<(EndpointId, usize)>,
    /// Somebody who owes a reply is gone.
    mourning: bool,
    pub(super) kept: Kept,
    /// So many threads wait for replies.
    pub(super) waits: u32,
    /// The request whose thread sleeps on the doorbell, for all.
    pub(super) sleeper: Option<u64>,
    /// The one who sleeps has been called, and has not come yet.
    called: bool,
    /// Since those who owe replies were last told to ring, something of theirs was read, or can
    /// be read that could not.
    pub(super) read: bool,
    /// Replies that nobody waits for.
    unexpected: u64,
}

#[derive(Default)]
struct Entry {
    /// Who was asked; nobody yet while the request is parked.
    asked: Option<EndpointId>,
    /// Who was asked is gone. What it sent before may still be there to be read.
    gone: bool,
    outcome: Option<Outcome>,
    /// For the thread that waits, if another sleeps on the doorbell.
    bell: Option<Arc<Bell>>,
}

/// What came of a request.
pub(super) enum Outcome {
    Reply(Box<(Incoming, Vec<u8>)>),
    None(NoReply),
}

/// Why there is no reply.
pub(crate) enum NoReply {
    PeerGone,
    Expired,
    Unsent(SendError),
}

impl Entry {
    /// Who owes the reply.
    fn debtor(&self) -> Option<EndpointId> {
        match self.outcome {
            None => self.asked,
            Some(_) => None,
        }
    }
}

impl Requests {
    /// `limit`: bytes of other messages that may be kept.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            numbers: Numbers::default(),
            entries: HashMap::default(),
            debtors: Vec::new(),
            mourning: false,
            kept: Kept::new(limit),
            waits: 0,
            sleeper: None,
            called: false,
            read: false,
            unexpected: 0,
        }
    }

    /// A new request.
    pub(super) fn add(&mut self, asked: Option<EndpointId>) -> u64 {
        let entry = Entry {
            asked,
            ..Entry::default()
        };
        loop {
            let number = self.numbers.next();
            if let hash_map::Entry::Vacant(vacant) = self.entries.entry(number) {
                vacant.insert(entry);
                self.count_debt(asked);
                return number;
            }
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            self.discount_debt(entry.debtor());
        }
    }

    /// Who was asked.
    pub(super) fn asked(&self, number: u64) -> Option<EndpointId> {
        self.entries.get(&number)?.asked
    }

    /// Says who was asked, again if somebody else was before.
    pub(super) fn set_asked(&mut self, number: u64, asked: Option<EndpointId>) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        let before = entry.debtor();
        entry.asked = asked;
        entry.gone = false;
        if matches!(entry.outcome, Some(Outcome::None(NoReply::PeerGone))) {
            entry.outcome = None;
        }
        let now = entry.debtor();
        self.discount_debt(before);
        self.count_debt(now);
    }

    /// What came of a request, which is over then.
    pub(super) fn finish(&mut self, number: u64) -> Option<Outcome> {
        let outcome = self.entries.get_mut(&number)?.outcome.take()?;
        self.entries.remove(&number);
        Some(outcome)
    }

    /// Those who owe replies, but for one.
    pub(super) fn other_debtors(&self, one: Option<EndpointId>) -> SmallVec<[EndpointId; 4]> {
        let others = self.debtors.iter().map(|(debtor, _)| *debtor);
        others.filter(|debtor| Some(*debtor) != one).collect()
    }

    fn count_debt(&mut self, debtor: Option<EndpointId>) {
        let Some(debtor) = debtor else { return };
        match self.debtors.iter_mut().find(|it| it.0 == debtor) {
            Some((_, count)) => *count += 1,
            None => self.debtors.push((debtor, 1)),
        }
    }

    fn discount_debt(&mut self, debtor: Option<EndpointId>) {
        let index = self.debtors.iter().position(|it| Some(it.0) == debtor);
        if let Some(index) = index {
            self.debtors[index].1 -= 1;
            if self.debtors[index].1 == 0 {
                self.debtors.swap_remove(index);
            }
        }
    }

    /// Whether a reply under this number is expected, and from there. Somebody may have got a
    /// parked request before we hear who; the number is one that nobody else can guess.
    pub(super) fn expects(&self, number: u64, from: EndpointId) -> bool {
        self.entries
            .get(&number)
            .is_some_and(|it| it.outcome.is_none() && it.asked.is_none_or(|asked| asked == from))
    }

    /// A reply has come.
    pub(super) fn reply(
        &mut self,
        number: u64,
        incoming: Incoming,
        bytes: Vec<u8>,
        doorbell: &Doorbell,
    ) {
        match self.expects(number, incoming.from) {
            true => {
                let reply = Outcome::Reply(Box::new((incoming, bytes)));
                self.settle(number, reply, doorbell);
            }
            false => self.unexpected += 1,
        }
    }

    /// Something came of a request.
    pub(super) fn settle(&mut self, number: u64, outcome: Outcome, doorbell: &Doorbell) {
        if let Some(entry) = self.entries.get_mut(&number)
            && entry.outcome.is_none()
        {
            let debtor = entry.debtor();
            entry.outcome = Some(outcome);
            self.discount_debt(debtor);
            self.call(number, doorbell);
        }
    }

    /// Takes note of who is gone.
    #[inline]
    pub(super) fn bury(&mut self, rx: &mut Rx, doorbell: &Doorbell) {
        if self.mourning || !rx.departed.is_empty() {
            self.bury_now(rx, doorbell);
        }
    }

    #[cold]
    fn bury_now(&mut self, rx: &mut Rx, doorbell: &Doorbell) {
        for gone in rx.departed.drain(..) {
            let asked = |entry: &&mut Entry| entry.debtor() == Some(gone);
            for entry in self.entries.values_mut().filter(asked) {
                entry.gone = true;
                self.mourning = true;
            }
        }
        if !self.mourning {
            return;
        }
        let gone = self.entries.iter().filter(|(_, entry)| entry.gone);
        let gone = gone.filter_map(|(number, entry)| Some((*number, entry.debtor()?)));
        let (alive, hopeless): (Vec<_>, Vec<_>) = gone.partition(|(_, it)| rx.has_news_from(*it));
        self.mourning = !alive.is_empty();
        for (number, _) in hopeless {
            self.settle(number, Outcome::None(NoReply::PeerGone), doorbell);
        }
    }

    /// Has the thread look that waits for this request, if one does.
    pub(super) fn call(&mut self, number: u64, doorbell: &Doorbell) {
        if self.sleeper == Some(number) {
            self.called = true;
            doorbell.ring();
        } else if let Some(entry) = self.entries.get(&number)
            && let Some(bell) = &entry.bell
        {
            bell.ring();
        }
    }

    /// Has everybody look.
    pub(super) fn call_all(&mut self, doorbell: &Doorbell) {
        let numbers: SmallVec<[u64; 4]> = self.entries.keys().copied().collect();
        for number in numbers {
            self.call(number, doorbell);
        }
    }

    /// Has one of those look who wait for somebody else to look for them, as he has stopped.
    pub(super) fn call_next(&self) {
        if self.sleeper.is_none()
            && let Some(bell) = self.entries.values().find_map(|entry| entry.bell.as_ref())
        {
            bell.ring();
        }
    }

    /// Whether there is an outcome that nobody has taken yet.
    pub(super) fn is_over(&self, number: u64) -> bool {
        let entry = self.entries.get(&number);
        entry.is_none_or(|entry| entry.outcome.is_some())
    }

    /// Whether there is something to read from those who owe replies.
    pub(super) fn has_news(&self, rx: &Rx) -> bool {
        self.debtors.iter().any(|it| rx.has_news_from(it.0))
    }

    /// Whether the doorbell is to stay rung for the one who sleeps.
    pub(super) fn is_called(&self) -> bool {
        self.called
    }

    /// The one who slept is back.
    pub(super) fn woke(&mut self) {
        self.sleeper = None;
        self.called = false;
    }

    /// A bell for the thread that waits for this request.
    pub(super) fn hang_bell(&mut self, number: u64) -> Arc<Bell> {
        let bell = Arc::new(Bell::default());
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.bell = Some(Arc::clone(&bell));
        }
        bell
    }

    pub(super) fn take_bell(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.bell = None;
        }
    }

    pub(super) fn unexpected(&self) -> u64 {
        self.unexpected
    }
}

/// Numbers that who does not know them cannot guess: a keyed hash of a count.
#[derive(Default)]
struct Numbers {
    key: RandomState,
    made: u64,
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.made = self.made.wrapping_add(1);
        self.key.hash_one(self.made)
    }
}

/// What is as good as random need not be hashed again.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks();
        words
            .iter()
            .for_each(|word| self.0 ^= u64::from_le_bytes(*word));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Wakes one thread of this process.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until it is rung, or patience is over, or for no reason.
    pub(super) fn wait(&self, patience: Patience) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !*rung {
            drop(patience.wait(&self.changed, rung));
        }
    }
}

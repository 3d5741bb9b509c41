//! Who is on the bus.

mod record;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::{EndpointId, LabelOp, SelectorMode};
pub use record::{Member, Record, RecordError};

/// A label of more words is looked into whenever somebody is looked for, which takes no longer than to compare
/// a few words. To take note of where each of its words is takes a hundred times as long as to read it: with a
/// directory full of such labels, everybody would be busy with that.
const FEW_WORDS: usize = if cfg!(test) { 2 } else { 64 };

/// A member's place in join order. Orders are unique; the id is there in case a controller lies.
type Place = (u64, EndpointId);

/// All members of a bus, in the order they joined: what the records of the directory's log add up to.
///
/// Everybody who applies the same records has the same directory. There is nothing that a record can
/// say that it does not take: a member that joins again is replaced, and news of unknown members is none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Directory {
    // Boxed, because the nodes of a tree that grows at its end stay half empty.
    members: BTreeMap<Place, Box<Member>>,
    orders: BTreeMap<EndpointId, u64>,
    // Where each word of a label is, so that addressing one word does not look at everybody.
    words: BTreeMap<SmolStr, BTreeSet<Place>>,
    // Those with more words than that.
    wordy: BTreeSet<Place>,
}

impl Directory {
    /// Takes note of what a record says.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Join(member) => self.join(member),
            Record::Leave(id) | Record::GivenUp(id) => self.leave(id),
            Record::Receiving(id, receiving) => {
                if let Some(member) = self.get_mut(id) {
                    member.receiving = receiving;
                }
            }
        }
    }

    /// Starts again from what a snapshot says, whatever was known before.
    pub fn apply_snapshot(&mut self, records: impl IntoIterator<Item = Record>) {
        *self = Self::default();
        for record in records {
            self.apply(record);
        }
    }

    /// The records that make up this directory, when there is nothing before them.
    pub fn snapshot(&self) -> impl Iterator<Item = Record> {
        self.iter().cloned().map(Record::Join)
    }

    /// The member with the id.
    pub fn get(&self, id: EndpointId) -> Option<&Member> {
        let member = self.members.get(&(*self.orders.get(&id)?, id))?;
        Some(member)
    }

    /// All members, in the order they joined.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Member> + ExactSizeIterator {
        self.members.values().map(Box::as_ref)
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members to which a message goes: those that receive and whose labels satisfy `op`; all of
    /// them, or the one that joined first. In the order they joined.
    ///
    /// An expression that requires a word (a leaf, alone or joined to others by `and`) is tried on the
    /// members that have the word and on those with many words, any other on all members.
    pub fn matching(&self, op: &LabelOp, mode: SelectorMode) -> SmallVec<[EndpointId; 4]> {
        let limit = match mode {
            SelectorMode::Unicast => 1,
            SelectorMode::Multicast => usize::MAX,
        };
        let matches = |member: &&Member| member.receiving && op.validate(&member.label);
        let places = match self.narrow(op) {
            Candidates::All => {
                let members = self.iter().filter(matches);
                return members.map(|member| member.id).take(limit).collect();
            }
            Candidates::At(places) => Some(places),
            Candidates::None => None,
        };
        let is_match = |place: &&Place| (self.members.get(place)).is_some_and(|it| matches(&&**it));
        let found = places.into_iter().flatten().filter(is_match).take(limit);
        let wordy = self.wordy.iter().filter(is_match).take(limit);
        let mut found: SmallVec<[Place; 4]> = found.chain(wordy).copied().collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).take(limit).collect()
    }

    /// Where those are who can satisfy an expression, but for the [`wordy`](Self::wordy).
    fn narrow(&self, op: &LabelOp) -> Candidates<'_> {
        let mut fewest = Candidates::All;
        for word in op.required_words() {
            let Some(places) = self.words.get(word) else {
                return Candidates::None;
            };
            match fewest {
                Candidates::At(held) if held.len() <= places.len() => {}
                _ => fewest = Candidates::At(places),
            }
        }
        fewest
    }

    fn join(&mut self, member: Member) {
        self.leave(member.id);
        let place = (member.order, member.id);
        match member.label.words() {
            words if words.len() > FEW_WORDS => drop(self.wordy.insert(place)),
            words => words.iter().for_each(|word| {
                self.words.entry(word.clone()).or_default().insert(place);
            }),
        }
        self.orders.insert(member.id, member.order);
        self.members.insert(place, Box::new(member));
    }

    fn leave(&mut self, id: EndpointId) {
        let Some(order) = self.orders.remove(&id) else {
            return;
        };
        let place = (order, id);
        let Some(member) = self.members.remove(&place) else {
            return;
        };
        if self.wordy.remove(&place) {
            return;
        }
        for word in member.label.iter() {
            if let Some(places) = self.words.get_mut(word) {
                places.remove(&place);
                if places.is_empty() {
                    self.words.remove(word);
                }
            }
        }
    }

    fn get_mut(&mut self, id: EndpointId) -> Option<&mut Member> {
        let member = self.members.get_mut(&(*self.orders.get(&id)?, id))?;
        Some(member)
    }
}

/// Who can satisfy an expression.
enum Candidates<'a> {
    All,
    At(&'a BTreeSet<Place>),
    None,
}

//! Who an endpoint is.

use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

/// The set of words that an endpoint goes by. Senders address it by expressions over them
/// ([`LabelOp`](crate::LabelOp)).
///
/// A set: a word inserted twice is in it once, and labels of the same words are equal whatever the
/// order they were inserted in. Words may be any text, the empty one included.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Label(
    // Sorted and without duplicates, so that a label from the wire, however large, takes n log n.
    SmallVec<[SmolStr; 4]>,
);

impl Label {
    /// Adds a word. Nothing happens if it is there already.
    pub fn insert<S: AsRef<str>>(&mut self, s: S) {
        let word = s.as_ref();
        if let Err(position) = self.position(word) {
            self.0.insert(position, SmolStr::new(word));
        }
    }

    /// Takes a word away. Nothing happens if it is not there.
    pub fn remove(&mut self, s: &str) {
        if let Ok(position) = self.position(s) {
            self.0.remove(position);
        }
    }

    /// Whether the word is there.
    pub fn contains(&self, s: &str) -> bool {
        self.position(s).is_ok()
    }

    /// Whether all the words are there.
    pub fn all<'a, I: IntoIterator<Item = &'a str>>(&self, sub: I) -> bool {
        sub.into_iter().all(|word| self.contains(word))
    }

    /// The words, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(SmolStr::as_str)
    }

    pub(crate) fn words(&self) -> &[SmolStr] {
        &self.0
    }

    /// The lengths of all words added up, in bytes.
    pub fn size_in_bytes(&self) -> usize {
        self.0.iter().map(SmolStr::len).sum()
    }

    /// How many bytes it takes in postcard's encoding.
    pub(crate) fn encoded_len(&self) -> usize {
        let number = |number: usize| (number | 1).ilog2() as usize / 7 + 1;
        let words = self.0.iter().map(|word| number(word.len()) + word.len());
        number(self.0.len()) + words.sum::<usize>()
    }

    fn position(&self, word: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|held| held.as_str().cmp(word))
    }

    fn from_words(mut words: SmallVec<[SmolStr; 4]>) -> Self {
        words.sort_unstable();
        words.dedup();
        Self(words)
    }
}

impl<T, S> From<T> for Label
where
    T: IntoIterator<Item = S>,
    S: AsRef<str>,
{
    fn from(words: T) -> Self {
        Self::from_words(words.into_iter().map(SmolStr::new).collect())
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self::from_words)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        assert_eq!(Label::from(["b", "a", "b"]), Label::from(["a", "b"]));
        assert_eq!(Label::from(["bc", "a"]).size_in_bytes(), 3);
        assert!(Label::default().all([]));
    }

    #[test]
    fn a_label_from_the_wire_is_a_set_again() {
        let wire = postcard::to_stdvec(&["b", "a", "b"].as_slice()).unwrap();
        let label: Label = postcard::from_bytes(&wire).unwrap();
        assert_eq!(label, Label::from(["a", "b"]));
    }

    #[test]
    fn the_length_of_long_labels_is_known_without_encoding_them() {
        for (count, len) in [
            (1, 127),
            (1, 128),
            (127, 9),
            (128, 9),
            (1, 16_384),
            (20_000, 7),
        ] {
            let words = (0..count).map(|number| format!("{number:0>len$}"));
            let label = Label::from(words);
            let wire = postcard::to_stdvec(&label).unwrap();
            assert_eq!(label.encoded_len(), wire.len());
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(changes in prop::collection::vec((any::<bool>(), "[a-d]{0,2}"), 0..40)) {
            let (mut label, mut model) = (Label::default(), BTreeSet::new());
            for (insert, word) in changes {
                if insert {
                    label.insert(&word);
                    model.insert(word);
                } else {
                    label.remove(&word);
                    model.remove(&word);
                }
            }
            prop_assert!(label.iter().eq(model.iter().map(String::as_str)));
            prop_assert!(label.all(model.iter().map(String::as_str)));
            prop_assert!(!label.contains("x"));
            prop_assert_eq!(&label, &Label::from(&model));
            let wire = postcard::to_stdvec(&label).unwrap();
            prop_assert_eq!(label.encoded_len(), wire.len());
            prop_assert_eq!(postcard::from_bytes::<Label>(&wire).unwrap(), label);
        }
    }
}

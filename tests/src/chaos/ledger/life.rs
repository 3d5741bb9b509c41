//! When a session was on the bus.

use crate::chaos::words::Words;

/// A session's life.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// What it is called.
    pub words: Words,
    /// `join` was about to be called.
    pub joining: u64,
    /// It had returned.
    pub joined: Option<u64>,
    /// Its receiver was not read any more.
    pub leaving: Option<u64>,
    /// It had left.
    pub left: Option<u64>,
    /// Its process was about to be killed.
    pub killing: Option<u64>,
    /// It was dead.
    pub dead: Option<u64>,
}

impl Life {
    /// One that begins.
    pub fn new(words: Words, joining: u64) -> Self {
        Self {
            words,
            joining,
            joined: None,
            leaving: None,
            left: None,
            killing: None,
            dead: None,
        }
    }

    /// From when on it may not have received what came, if it has an end.
    pub fn gone(&self) -> Option<u64> {
        [self.leaving, self.killing].into_iter().flatten().min()
    }

    /// From when on it did nothing any more.
    pub fn out(&self) -> Option<u64> {
        [self.left, self.dead].into_iter().flatten().min()
    }

    /// Whether it was there at all times from `begin` to `end`.
    pub fn spans(&self, begin: u64, end: u64) -> bool {
        self.joined.is_some_and(|joined| joined <= begin) && self.lasts_until(end)
    }

    /// Whether it receives until then.
    pub fn lasts_until(&self, end: u64) -> bool {
        self.gone().is_none_or(|gone| gone >= end)
    }

    /// Whether it has certainly joined before another one.
    pub fn precedes(&self, other: &Self) -> bool {
        self.joined.is_some_and(|joined| joined < other.joining)
    }
}

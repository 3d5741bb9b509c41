//! Whose turn it is among many senders.

use std::collections::VecDeque;

/// Sources with news, each at most once. One that is removed meanwhile is found to be empty.
#[derive(Default)]
pub(super) struct Queue {
    order: VecDeque<usize>,
    queued: Vec<bool>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn front(&self) -> Option<usize> {
        self.order.front().copied()
    }

    pub(super) fn push(&mut self, index: usize) {
        if self.queued.len() <= index {
            self.queued.resize(index + 1, false);
        }
        if !std::mem::replace(&mut self.queued[index], true) {
            self.order.push_back(index);
        }
    }

    /// In front of all.
    pub(super) fn push_first(&mut self, index: usize) {
        self.push(index);
        if self.order.back() == Some(&index) {
            self.order.rotate_right(1);
        }
    }

    pub(super) fn pop(&mut self) {
        if let Some(index) = self.order.pop_front() {
            self.queued[index] = false;
        }
    }
}

//! How long a call waits.

use std::{
    sync::{Condvar, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a call waits.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Endless,
}

impl Patience {
    pub(crate) fn from_timeout(timeout: Option<Duration>) -> Self {
        // A time beyond what the clock can tell is as good as no limit.
        match timeout {
            None => Self::Endless,
            Some(timeout) => Instant::now()
                .checked_add(timeout)
                .map_or(Self::Endless, Self::Until),
        }
    }

    pub(crate) fn is_over(self) -> bool {
        match self {
            Self::None => true,
            Self::Until(deadline) => Instant::now() >= deadline,
            Self::Endless => false,
        }
    }

    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Self::None => Some(Duration::ZERO),
            Self::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Self::Endless => None,
        }
    }

    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::None => Some(Instant::now()),
            Self::Until(deadline) => Some(deadline),
            Self::Endless => None,
        }
    }

    /// Waits for a change, no longer than this.
    pub(crate) fn wait<'a, T>(
        self,
        changed: &Condvar,
        guard: MutexGuard<'a, T>,
    ) -> MutexGuard<'a, T> {
        match self.left() {
            None => changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = changed.wait_timeout(guard, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

//! What the threads of a session are to do.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What they are to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Play,
    /// End what is begun, and begin nothing.
    Quiet,
    /// Receive no more, and go on otherwise.
    Deaf,
    /// End, but for receiving.
    Leave,
    /// End.
    Gone,
}

impl Mode {
    /// Whether something is to be begun.
    pub(super) fn plays(self) -> bool {
        matches!(self, Self::Play | Self::Deaf)
    }
}

#[derive(Default)]
pub(super) struct Stage {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    mode: Mode,
    /// So many threads have nothing to do.
    idle: usize,
}

impl Stage {
    pub(super) fn mode(&self) -> Mode {
        self.state().mode
    }

    pub(super) fn set(&self, mode: Mode) {
        self.state().mode = mode;
        self.changed.notify_all();
    }

    /// Called by a thread that has nothing under way: returns when it is to begin something
    /// (`true`), or to end. If that takes a while, it tidies up.
    pub(super) fn may_begin(&self, tidy_up: impl FnOnce()) -> bool {
        let mut state = self.state();
        if state.mode == Mode::Quiet {
            drop(state);
            tidy_up();
            state = self.state();
        }
        state.idle += 1;
        self.changed.notify_all();
        let quiet = |state: &mut State| state.mode == Mode::Quiet;
        let waited = self.changed.wait_while(state, quiet);
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.mode.plays()
    }

    /// Waits so long, unless something else is to be done meanwhile.
    pub(super) fn rest(&self, time: Duration) {
        let state = self.state();
        let before = state.mode;
        let playing = |state: &mut State| state.mode.plays() && state.mode == before;
        drop(self.changed.wait_timeout_while(state, time, playing));
    }

    /// Waits until so many threads have nothing to do.
    pub(super) fn wait_until_idle(&self, threads: usize) {
        let state = self.state();
        let busy = |state: &mut State| state.idle < threads;
        drop(self.changed.wait_while(state, busy));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

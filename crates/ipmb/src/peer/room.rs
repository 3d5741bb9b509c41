//! Waiting for room in a lane.

use crate::patience::Patience;
use ipmb_sys::{Doorbell, Heard, Hearing};
use std::{
    io,
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// Who cannot hear the doorbell, for want of a descriptor, looks so often.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The doorbell that receivers ring when they made room, shared by all sending threads of an
/// endpoint.
///
/// One of the waiting threads (the leader) sleeps on the doorbell; it alone clears its hearing, so that
/// no ring is lost between two threads, and it tells the others.
pub(crate) struct RoomBell {
    doorbell: Doorbell,
    /// Made when somebody waits for the first time: most never do.
    hearing: OnceLock<Hearing>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Counts what may have made room.
    news: u64,
    led: bool,
    waiting: u32,
}

/// What a thread had heard of before it looked for room.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

impl RoomBell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            doorbell: Doorbell::create()?,
            hearing: OnceLock::new(),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn doorbell(&self) -> &Doorbell {
        &self.doorbell
    }

    /// To be taken before looking for room in vain.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.lock().news)
    }

    /// Something happened in this process that waiting threads should look at.
    pub(crate) fn announce(&self) {
        let mut state = self.lock();
        state.news += 1;
        if state.waiting > 0 {
            self.changed.notify_all();
            self.doorbell.ring();
        }
    }

    /// The doorbell was heard by somebody who does not wait for room.
    pub(crate) fn absorb(&self) {
        let mut state = self.lock();
        state.news += 1;
        self.changed.notify_all();
    }

    /// Waits until there may be room, that is, for news since `ticket`; `false` when the deadline
    /// has passed.
    pub(crate) fn wait(&self, ticket: Ticket, deadline: Option<Instant>) -> bool {
        let patience = deadline.map_or(Patience::Endless, Patience::Until);
        let mut state = self.lock();
        state.waiting += 1;
        let heard = loop {
            if state.news != ticket.0 {
                break true;
            }
            if patience.is_over() {
                break false;
            }
            if state.led {
                state = patience.wait(&self.changed, state);
                continue;
            }
            state.led = true;
            drop(state);
            let rung = self.listen(patience);
            state = self.lock();
            state.led = false;
            state.news += u64::from(rung);
            // Whether there is news or only a vacant lead: the others have to look.
            self.changed.notify_all();
        };
        state.waiting -= 1;
        heard
    }

    /// Sleeps on the doorbell; whether it may have been rung.
    fn listen(&self, patience: Patience) -> bool {
        let hearing = match self.hearing.get() {
            Some(hearing) => hearing,
            None => match self.doorbell.hearing() {
                // What was rung before is heard at once. Only one leads at a time.
                Ok(hearing) => self.hearing.get_or_init(|| hearing),
                Err(_) => {
                    let left = patience.left().unwrap_or(LOOK_AGAIN);
                    std::thread::sleep(left.min(LOOK_AGAIN));
                    return true;
                }
            },
        };
        match hearing.wait(patience.left()) {
            Ok(Heard::Nothing) => false,
            Ok(Heard::Cleared) => true,
            Ok(Heard::Kept) | Err(_) => {
                hearing.clear();
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::RoomBell;
    use std::{
        thread,
        time::{Duration, Instant},
    };

    #[test]
    fn every_waiter_hears_one_ring() {
        let room = RoomBell::new().unwrap();
        let ticket = room.ticket();
        let deadline = Some(Instant::now() + Duration::from_secs(20));
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| room.wait(ticket, deadline)))
                .collect();
            room.doorbell().ring();
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        });
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let room = RoomBell::new().unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(5));
        // Who listens for the first time hears what may have been rung before.
        assert!(room.wait(room.ticket(), soon()));
        let ticket = room.ticket();
        assert!(!room.wait(ticket, soon()));
        room.announce();
        assert!(room.wait(ticket, Some(Instant::now())));
    }
}

//! Who becomes the controller.
//!
//! The seat is a lock that the kernel frees when its holder dies; a watch tells everybody whether
//! somebody serves. [`Election`] says what to try next, given what came of the last attempt, so that
//! the shell's loop is: carry out the action, report the event.

use std::time::Duration;

/// What came of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElectionEvent {
    /// Of [`ElectionAction::Connect`]: there is a connection.
    Connected,
    /// Of [`ElectionAction::Connect`]: nobody listens.
    NoController,
    /// Of [`ElectionAction::Connect`]: somebody listens, but has too many callers at the moment.
    Busy,
    /// Of [`ElectionAction::Connect`]: somebody listens who runs as another user.
    Foreign {
        /// Which user.
        uid: u32,
    },
    /// Of [`ElectionAction::TrySeat`]: the seat is ours.
    SeatTaken,
    /// Of [`ElectionAction::TrySeat`]: somebody else has it.
    SeatBusy,
    /// Of [`ElectionAction::Wait`]: the watch has changed, and this is what it says.
    Watch(WatchState),
    /// The connection that was made broke, during the handshake or later.
    Lost,
}

/// What the watch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchState {
    /// A controller serves.
    Serving,
    /// Nobody has the seat.
    Vacant,
    /// Somebody has the seat, and does not serve yet.
    Pending,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElectionAction {
    /// Connect to the controller.
    Connect,
    /// Try to take the seat, without waiting for it.
    TrySeat,
    /// Wait for the watch to change. A change since the watch was last waited for ends it at once (an
    /// edge, not a level: the mark of a controller that died stays until its successor takes it away).
    Wait,
    /// The queue of callers is full, which nothing announces the end of: connect again after a pause.
    /// The only place where time plays a role.
    Pause(Duration),
    /// Shake hands and register; if the connection breaks, report [`ElectionEvent::Lost`].
    Join,
    /// Serve: publish a socket, then mark the watch.
    Serve,
    /// Give up.
    Fail(ElectionError),
}

/// Why there is no point in trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElectionError {
    /// The name is taken by another user's process.
    #[error(
        "the bus is served by a process of user {uid}, who is not to be trusted: remove its socket or use another runtime directory"
    )]
    Foreign {
        /// Which user.
        uid: u32,
    },
}

/// Decides what an endpoint without a controller does next. One for the life of an endpoint.
#[derive(Debug, Clone)]
pub struct Election {
    affinity: bool,
    pauses: u32,
}

impl Election {
    /// For an endpoint that may become the controller (`affinity`) or never does.
    pub fn new(affinity: bool) -> Self {
        Self {
            affinity,
            pauses: 0,
        }
    }

    /// The first action. Begin by watching, so that no change is missed.
    pub fn start(&self) -> ElectionAction {
        ElectionAction::Connect
    }

    /// The action after an event.
    pub fn handle(&mut self, event: ElectionEvent) -> ElectionAction {
        self.pauses = match event {
            ElectionEvent::Busy => self.pauses.saturating_add(1),
            _ => 0,
        };
        match event {
            ElectionEvent::Busy => ElectionAction::Pause(pause(self.pauses)),
            ElectionEvent::Connected => ElectionAction::Join,
            // Whoever cut us off may still serve: the seat would be taken, and the watch never change.
            ElectionEvent::Lost => ElectionAction::Connect,
            ElectionEvent::Watch(WatchState::Serving) => ElectionAction::Connect,
            ElectionEvent::NoController | ElectionEvent::Watch(WatchState::Vacant) => {
                if self.affinity {
                    ElectionAction::TrySeat
                } else {
                    ElectionAction::Wait
                }
            }
            ElectionEvent::SeatTaken => ElectionAction::Serve,
            ElectionEvent::SeatBusy | ElectionEvent::Watch(WatchState::Pending) => {
                ElectionAction::Wait
            }
            ElectionEvent::Foreign { uid } => ElectionAction::Fail(ElectionError::Foreign { uid }),
        }
    }
}

/// From 50 µs, doubled each time, up to 3.2 ms.
fn pause(how_manieth: u32) -> Duration {
    Duration::from_micros(50 << how_manieth.saturating_sub(1).min(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an endpoint does, given what comes of each action.
    fn actions(affinity: bool, events: &[ElectionEvent]) -> Vec<ElectionAction> {
        let mut election = Election::new(affinity);
        assert_eq!(election.start(), ElectionAction::Connect);
        events.iter().map(|event| election.handle(*event)).collect()
    }

    #[test]
    fn the_first_serves() {
        assert_eq!(
            actions(
                true,
                &[ElectionEvent::NoController, ElectionEvent::SeatTaken]
            ),
            [ElectionAction::TrySeat, ElectionAction::Serve]
        );
    }

    #[test]
    fn the_second_waits_for_the_first() {
        assert_eq!(
            actions(
                true,
                &[
                    ElectionEvent::NoController,
                    ElectionEvent::SeatBusy,
                    ElectionEvent::Watch(WatchState::Pending),
                    ElectionEvent::Watch(WatchState::Serving),
                    ElectionEvent::Connected,
                ]
            ),
            [
                ElectionAction::TrySeat,
                ElectionAction::Wait,
                ElectionAction::Wait,
                ElectionAction::Connect,
                ElectionAction::Join
            ]
        );
    }

    #[test]
    fn a_survivor_takes_over_or_finds_who_did() {
        assert_eq!(
            actions(
                true,
                &[
                    ElectionEvent::Connected,
                    ElectionEvent::Lost,
                    ElectionEvent::NoController,
                    ElectionEvent::SeatBusy,
                    ElectionEvent::Watch(WatchState::Vacant),
                    ElectionEvent::SeatTaken,
                ]
            ),
            [
                ElectionAction::Join,
                ElectionAction::Connect,
                ElectionAction::TrySeat,
                ElectionAction::Wait,
                ElectionAction::TrySeat,
                ElectionAction::Serve
            ]
        );
    }

    #[test]
    fn without_affinity_the_seat_is_never_taken() {
        assert_eq!(
            actions(
                false,
                &[
                    ElectionEvent::NoController,
                    ElectionEvent::Watch(WatchState::Vacant),
                    ElectionEvent::Watch(WatchState::Serving),
                ]
            ),
            [
                ElectionAction::Wait,
                ElectionAction::Wait,
                ElectionAction::Connect
            ]
        );
    }

    #[test]
    fn a_busy_controller_is_given_longer_and_longer() {
        let mut election = Election::new(true);
        let mut pauses = (0..40).map(|_| match election.handle(ElectionEvent::Busy) {
            ElectionAction::Pause(pause) => pause,
            other => panic!("{other:?}"),
        });
        assert_eq!(pauses.next(), Some(Duration::from_micros(50)));
        assert_eq!(pauses.next(), Some(Duration::from_micros(100)));
        assert_eq!(pauses.last(), Some(Duration::from_micros(3200)));
        election.handle(ElectionEvent::Lost);
        assert_eq!(
            election.handle(ElectionEvent::Busy),
            ElectionAction::Pause(Duration::from_micros(50))
        );
    }

    #[test]
    fn somebody_elses_controller_is_not_joined() {
        assert_eq!(
            actions(true, &[ElectionEvent::Foreign { uid: 7 }]),
            [ElectionAction::Fail(ElectionError::Foreign { uid: 7 })]
        );
    }
}

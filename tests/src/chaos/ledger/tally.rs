//! How much there was of everything.

use std::{fmt, ops::AddAssign};

/// Numbers of messages, unless it says something else.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Calls that sent one and returned.
    pub sent: u64,
    /// Calls that returned that there was no room, or nobody to ask.
    pub refused: u64,
    /// Their senders were killed while they were sending them.
    pub unfinished: u64,
    /// Deliveries that had to be.
    pub due: u64,
    /// Deliveries that were.
    pub delivered: u64,
    /// Deliveries to somebody who was killed or left before it read them.
    pub unread: u64,
    /// Deliveries missing at somebody who does not wait for room.
    pub dropped: u64,
    /// Nobody matched them, or nobody within their ttl.
    pub unwanted: u64,
    /// They were parked, their sender was gone, and another process died.
    pub orphaned: u64,
    /// Requests that were replied to.
    pub answered: u64,
    /// How long after somebody's death a message went to it, at most, in nanoseconds, not counting
    /// the time in which processes were stopped.
    pub latest: u64,
    /// How long after its ttl a parked message that another controller took over was given to
    /// somebody, at most, in the same way.
    pub overtime: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.refused += other.refused;
        self.unfinished += other.unfinished;
        self.due += other.due;
        self.delivered += other.delivered;
        self.unread += other.unread;
        self.dropped += other.dropped;
        self.unwanted += other.unwanted;
        self.orphaned += other.orphaned;
        self.answered += other.answered;
        self.latest = self.latest.max(other.latest);
        self.overtime = self.overtime.max(other.overtime);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, count: u64| writeln!(f, "  {what:<46} {count:>12}");
        line("messages sent", self.sent)?;
        line("messages refused (no room, nobody to ask)", self.refused)?;
        line(
            "messages whose sender was killed meanwhile",
            self.unfinished,
        )?;
        line(
            "messages that nobody wanted within their ttl",
            self.unwanted,
        )?;
        line(
            "parked messages lost with sender and controller",
            self.orphaned,
        )?;
        line("deliveries due", self.due)?;
        line("deliveries", self.delivered)?;
        line("deliveries unread by who was killed or left", self.unread)?;
        line(
            "deliveries dropped by who does not wait for room",
            self.dropped,
        )?;
        line("requests with a reply", self.answered)?;
        line(
            "last message to a dead one after its death, µs",
            self.latest / 1000,
        )
    }
}

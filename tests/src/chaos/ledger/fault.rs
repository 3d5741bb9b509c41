//! What can be wrong.

use super::{Ledger, Life};
use crate::chaos::record::{Id, Session, To};
use std::fmt::{self, Write};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// It had to arrive and did not.
    Lost,
    /// It came twice, or to two of whom one was meant.
    Twice,
    /// It came behind one that was sent after it had been sent.
    OutOfOrder,
    /// It came to somebody whom its selector does not mean.
    WrongReceiver,
    /// It came to somebody although another one who was meant had joined before.
    NotTheFirst,
    /// It came to somebody who joined after it had expired.
    Late,
    /// It came although the call said that it was not sent.
    Refused,
    /// It is not what was sent.
    Damaged,
    /// It was never sent, or in an earlier round.
    Unknown,
    /// A call failed that has no reason to.
    Failed,
    /// A call has not returned.
    Stuck,
    /// The reply to a request did not arrive, and had to.
    NoReply,
    /// Somebody is said to be gone who is not.
    NotGone,
    /// Something was left behind.
    Leaked,
}

impl Kind {
    /// Whether time may heal it.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Lost | Self::Stuck | Self::NoReply)
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// With which message.
    pub id: Option<Id>,
    /// At whom.
    pub at: Option<Session>,
    /// In words, if there is more to say.
    pub text: String,
}

impl Fault {
    /// With a message.
    pub fn of(kind: Kind, id: Id, at: Option<Session>) -> Self {
        Self {
            kind,
            id: Some(id),
            at,
            text: String::new(),
        }
    }

    /// Something that a process says.
    pub fn said(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            id: None,
            at: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        if let Some(id) = self.id {
            write!(f, ": message {id:?}")?;
        }
        if let Some(at) = self.at {
            write!(f, " at {at:?}")?;
        }
        match self.text.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.text),
        }
    }
}

/// Times are in microseconds since the message was sent.
pub(super) fn history(ledger: &Ledger, id: Id) -> String {
    let Some(letter) = ledger.letters.get(&id) else {
        return format!("{id:?}: nothing is known of it\n");
    };
    let begin = (letter.sending.map(|it| it.0))
        .or(letter.received.first().map(|it| it.0))
        .unwrap_or_default();
    let since = |time: u64| (time as i64 - begin as i64) / 1000;
    let mut text = format!("  message {id:?}, times in µs since it was sent (at {begin} ns)\n");
    // Writing to a string cannot fail.
    let mut line = |what: String| {
        let _ = writeln!(text, "    {what}");
    };
    if let Some((_, to, contents)) = letter.sending {
        line(format!("{to:?}, {contents:?}"));
        if let To::Selector { code, .. } = to {
            line(format!("selector: {:?}", code.expression()));
        }
    }
    if let Some((time, outcome)) = letter.returned {
        line(format!(
            "{:>10} the call returned: {outcome:?}",
            since(time)
        ));
    }
    for (time, session, _) in &letter.received {
        line(format!("{:>10} received by {session:?}", since(*time)));
    }
    if let Some((time, end)) = letter.over {
        line(format!("{:>10} the request was over: {end:?}", since(time)));
    }
    for (reply, letter) in &ledger.letters {
        if letter.sending.is_some_and(|it| it.1 == To::Asker(id)) {
            line(format!("reply {reply:?}: {letter:?}"));
        }
    }
    let matching = |life: &Life| match letter.sending {
        Some((_, To::Selector { code, .. }, _)) => code.expression().matches(life.words),
        _ => false,
    };
    for session in ledger.lives.keys() {
        let Some(life) = ledger.life(*session) else {
            continue;
        };
        let role = match (*session == id.session(), matching(&life)) {
            (true, true) => "sender, and meant",
            (true, false) => "sender",
            (false, true) => "meant",
            (false, false) => continue,
        };
        let mut when = format!("{role} {session:?}: joining {}", since(life.joining));
        let times = [
            ("joined", life.joined),
            ("leaving", life.leaving),
            ("left", life.left),
            ("killing", life.killing),
            ("dead", life.dead),
        ];
        for (what, time) in times {
            if let Some(time) = time {
                let _ = write!(when, ", {what} {}", since(time));
            }
        }
        line(when);
        // What else it has received from there at that time.
        let inbox = ledger.inboxes.get(session).map_or(&[][..], Vec::as_slice);
        let same: Vec<_> = inbox
            .iter()
            .filter(|it| it.1.session() == id.session())
            .collect();
        let sent = |id: &Id| ledger.letters.get(id)?.sending.map(|it| it.0);
        let later = same.iter().position(|it| sent(&it.1) >= Some(begin));
        if let Some(later) = later.or(same.len().checked_sub(1)) {
            for (time, other) in &same[later.saturating_sub(2)..same.len().min(later + 3)] {
                let sent = sent(other).map(since);
                line(format!(
                    "           has {other:?} (sent {sent:?}) at {}",
                    since(*time)
                ));
            }
        }
    }
    for (process, (killing, _)) in &ledger.kills {
        if (-2_000_000..10_000_000).contains(&since(*killing)) {
            line(format!(
                "{:>10} process {} killed",
                since(*killing),
                process.0
            ));
        }
    }
    for (process, from, to) in &ledger.stops {
        let end = to.map(since);
        if end.is_none_or(|end| end > -100_000) && since(*from) < 3_000_000 {
            line(format!(
                "{:>10} process {} stopped, until {end:?}",
                since(*from),
                process.0
            ));
        }
    }
    text
}

//! The ledger: takes what all processes have written down, and judges what came of each message.
//!
//! Clocks of one machine agree, so that what happened before what is certain, if not always: a
//! `join` takes effect at some moment between its beginning and its return, a message is for those
//! who are there at some moment of its sending. The ledger demands what follows whatever these
//! moments were, and allows only what some choice of them explains. So:
//!
//! * A multicast has to reach everybody who matches, had joined before the call began, and receives
//!   until after it returned. A unicast has to reach somebody who matches if one of them was there,
//!   or came within its ttl, and never one while somebody was there who had joined before that one.
//! * Who was there and is gone (killed, or left) may have had messages that it has not read: the last
//!   ones of each sender, and no others. Who lives when all is quiet has read everything.
//! * Who does not wait for room, but has messages dropped, may miss any. (Requests do not go there.)
//! * What a killed process was just sending may have arrived or not; what it had sent has to.
//! * Nobody gets a message who joined after its ttl. A controller that takes over counts what is left of
//!   it from when it hears of the message, so that there it may take a little longer.
//! * A parked message may be lost if its sender is gone and another process died after it: the
//!   controller may have been that; or if the sender was the controller itself.

mod fault;
mod judge;
mod life;
mod requests;
mod tally;

pub use fault::{Fault, Kind};
pub use life::Life;
pub use tally::Tally;

use super::record::{Contents, End, Event, Id, Outcome, Process, Record, Session, To};
use std::collections::{BTreeMap, HashMap, HashSet};

/// All that is known, in one round: from one time when everything was quiet to the next.
#[derive(Debug, Default)]
pub struct Ledger {
    lives: BTreeMap<Session, Life>,
    /// When it was about to be killed, and when it was dead.
    kills: BTreeMap<Process, (u64, Option<u64>)>,
    stops: Vec<(Process, u64, Option<u64>)>,
    /// Who served the bus when it was killed.
    servers: HashSet<Process>,
    letters: HashMap<Id, Letter>,
    /// What each session has received, in order.
    inboxes: BTreeMap<Session, Vec<(u64, Id)>>,
}

/// A message, as far as it is known.
#[derive(Debug, Default, Clone)]
struct Letter {
    sending: Option<(u64, To, Contents)>,
    returned: Option<(u64, Outcome)>,
    received: Vec<(u64, Session, Contents)>,
    over: Option<(u64, End)>,
}

/// What the ledger says.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What there was.
    pub tally: Tally,
}

impl Ledger {
    /// Takes note of what happened. The records of one session have to come in their order; those of
    /// different ones may come in any.
    pub fn add(&mut self, record: Record) {
        let time = record.time;
        match record.event {
            Event::Joining(session, words) => {
                self.lives.insert(session, Life::new(words, time));
            }
            Event::Joined(session) => self.change(session, |life| life.joined = Some(time)),
            Event::Leaving(session) => self.change(session, |life| life.leaving = Some(time)),
            Event::Left(session) => self.change(session, |life| life.left = Some(time)),
            Event::Killing(process) => {
                self.kills.insert(process, (time, None));
            }
            Event::Dead(process) => {
                let kill = self.kills.entry(process).or_insert((time, None));
                kill.1 = Some(time);
            }
            Event::Stopping(process) => self.stops.push((process, time, None)),
            Event::Continuing(process) => {
                let mut stops = self.stops.iter_mut().rev();
                if let Some(stop) = stops.find(|stop| stop.0 == process) {
                    stop.2 = Some(time);
                }
            }
            Event::Serving(process) => {
                self.servers.insert(process);
            }
            Event::Sending(id, to, contents) => {
                self.letters.entry(id).or_default().sending = Some((time, to, contents));
            }
            Event::Returned(id, outcome) => {
                self.letters.entry(id).or_default().returned = Some((time, outcome));
            }
            Event::Received(session, id, contents) => {
                let letter = self.letters.entry(id).or_default();
                letter.received.push((time, session, contents));
                self.inboxes.entry(session).or_default().push((time, id));
            }
            Event::Over(id, end) => {
                self.letters.entry(id).or_default().over = Some((time, end));
            }
        }
    }

    fn change(&mut self, session: Session, change: impl FnOnce(&mut Life)) {
        if let Some(life) = self.lives.get_mut(&session) {
            change(life);
        }
    }

    /// Judges, at a time when nobody sends. What [may pass](Kind::may_pass) is to be judged again a
    /// little later: it may be on its way.
    pub fn judge(&self) -> Verdict {
        judge::judge(self)
    }

    /// Begins a new round, in which all that was sent is done with, and who is gone is forgotten.
    pub fn begin_round(&mut self) {
        let gone: Vec<Session> = (self.lives.keys().copied())
            .filter(|session| self.life(*session).is_none_or(|life| life.gone().is_some()))
            .collect();
        for session in gone {
            self.lives.remove(&session);
        }
        self.kills.clear();
        self.stops.clear();
        self.servers.clear();
        self.letters.clear();
        self.inboxes.clear();
    }

    /// The sessions that are on the bus.
    pub fn living(&self) -> impl Iterator<Item = Session> {
        let sessions = self.lives.keys().copied();
        sessions.filter(|it| self.life(*it).is_some_and(|life| life.gone().is_none()))
    }

    /// Whether a process that is on the bus does not wait for room.
    pub fn is_lossy(&self, process: Process) -> bool {
        let mut of_it = self.living().filter(|session| session.process() == process);
        of_it.any(|session| self.life(session).is_some_and(|it| it.words.is_lossy()))
    }

    /// A session's life, with its process's end.
    fn life(&self, session: Session) -> Option<Life> {
        let mut life = *self.lives.get(&session)?;
        if let Some((killing, dead)) = self.kills.get(&session.process()) {
            life.killing = Some(*killing);
            life.dead = *dead;
        }
        Some(life)
    }

    /// All that is known of a message and of those whom it could have reached.
    pub fn history(&self, id: Id) -> String {
        fault::history(self, id)
    }
}

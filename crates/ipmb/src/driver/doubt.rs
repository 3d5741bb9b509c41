//! Whom to believe that it serves the bus.
//!
//! In the scope `System` anybody can put up a socket in the bus's name. Only the handshake shows who
//! holds the token, and who fails it may be there to keep others from joining. So all who listen are
//! asked, one after the other, before a refusal is believed; and who has disappointed once comes last.

use super::{Driver, GREETING_TIME, Later, Phase};
use crate::endpoint::{Fate, Status};
use ipmb_core::Settings;
use ipmb_sys::{Channel, ConnectError, Credentials, Scope, Watch};
use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// How long a stranger in the scope `System` has to answer before the next one is asked, at first.
const STRANGER_TIME: Duration = Duration::from_millis(100);
/// How long until all of them are asked again.
const ROUND_TIME: Duration = Duration::from_millis(100);
/// How long somebody may have the seat and not serve, before whoever joins is told.
const VACANT_TIME: Duration = Duration::from_secs(10);
/// How long until one looks for a controller that nobody has announced, at first,
const LOOK_TIME: Duration = Duration::from_millis(20);
/// and after several times.
const LONGEST_LOOK_TIME: Duration = Duration::from_secs(1);
/// How long a new controller waits for a survivor of the old one, who may have to ask some strangers first.
const SETTLE_TIME: Duration = Duration::from_millis(400);
/// So many are remembered.
const DISAPPOINTMENTS: usize = 64;

#[derive(Default)]
pub(super) struct Doubt {
    /// Who is asked at the moment.
    pub(super) peer: Option<Credentials>,
    /// Who has been asked in this round.
    asked: Vec<u32>,
    /// How many rounds there have been before this one.
    rounds: u32,
    /// Who has ever failed to let us in, and whether he has said so at least.
    disappointing: Vec<(u32, bool)>,
    /// What the most credible of them has said.
    verdict: Option<Fate>,
    /// Since when that is all that we hear from who serves.
    refused: Option<Instant>,
    /// Since when somebody listens and has no time.
    busy: Option<Instant>,
    /// Since when the seat is taken and nobody serves.
    pub(super) unserved: Option<Instant>,
}

impl Doubt {
    /// Who is asked when: none means not now. Who is on the bus has no time for those who have disappointed
    /// before, unless there is nobody else.
    fn rank(&self, uid: u32, is_member: bool) -> Option<u8> {
        let known = self.disappointing.iter().find(|(known, _)| *known == uid);
        let rank = match known {
            None => 0,
            Some((_, true)) => 1,
            Some((_, false)) => 2,
        };
        let not_now = is_member && self.rounds == 0 && rank > 0;
        (!not_now && !self.asked.contains(&uid)).then_some(rank)
    }

    /// How long the one that is asked has to answer.
    pub(super) fn patience(&self, scope: Scope) -> Duration {
        match scope {
            Scope::User => GREETING_TIME,
            // Silence may be all that a busy machine is capable of, so that time has to grow.
            Scope::System => GREETING_TIME.min(STRANGER_TIME * (1 << self.rounds.min(8))),
        }
    }

    /// All may be asked again.
    pub(super) fn begin_round(&mut self) {
        self.asked.clear();
        self.verdict = None;
    }

    /// We are in, or there is nobody to let us in.
    pub(super) fn settle(&mut self) {
        if let Some(peer) = self.peer {
            self.disappointing.retain(|(known, _)| *known != peer.uid);
        }
        self.begin_round();
        self.rounds = 0;
        self.refused = None;
        self.unserved = None;
    }

    /// All are asked again, with more patience.
    pub(super) fn ask_again(&mut self) {
        self.begin_round();
        self.rounds += 1;
    }
}

impl Driver {
    /// Connects to the controller: in the scope `System`, to one of those who say that they are it.
    pub(super) fn connect_to_controller(&mut self) -> Result<Channel, ConnectError> {
        let system = self.endpoint.options.scope == Scope::System;
        if system && self.membership.is_some() {
            // Who listens and has not got the seat is a stranger, and not worth the time: others wait for us.
            match self.rendezvous.watch() {
                Ok(Watch::Serving) => {}
                Ok(Watch::Vacant | Watch::Pending) => return Err(ConnectError::NoController),
                Err(error) => return Err(ConnectError::Io(error)),
            }
        }
        let doubt = &self.doubt;
        let is_member = self.membership.is_some();
        let result = self
            .rendezvous
            .connect_ranked(|uid| doubt.rank(uid, is_member));
        if !(system && matches!(result, Err(ConnectError::Busy))) {
            self.doubt.busy = None;
            return result;
        }
        // One that is always busy is passed over after a while.
        let since = *self.doubt.busy.get_or_insert_with(Instant::now);
        match since.elapsed() < STRANGER_TIME {
            true => result,
            false => Err(ConnectError::NoController),
        }
    }

    /// How the controller is set up, if this endpoint is it.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        if self.endpoint.options.scope == Scope::System {
            settings.settle = SETTLE_TIME;
        }
        settings
    }

    /// Whoever is asked does not let us in. `true`: in this scope that says nothing of the bus.
    pub(super) fn disappointed(&mut self, verdict: Option<Fate>) -> bool {
        if self.endpoint.options.scope != Scope::System || self.host.is_some() {
            return false;
        }
        let Some(Credentials { pid, uid, .. }) = self.doubt.peer.take() else {
            return false;
        };
        tracing::warn!(
            pid,
            uid,
            ?verdict,
            "somebody answers in the name of the bus and does not let us in"
        );
        let doubt = &mut self.doubt;
        doubt.disappointing.retain(|(known, _)| *known != uid);
        if doubt.disappointing.len() < DISAPPOINTMENTS {
            doubt.disappointing.push((uid, verdict.is_some()));
        }
        doubt.asked.push(uid);
        // Of several, a wrong token is what the user can do something about.
        if !matches!(doubt.verdict, Some(Fate::Token)) {
            doubt.verdict = verdict.or(doubt.verdict.take());
        }
        true
    }

    /// Hangs up on who has refused us, and asks the next one.
    pub(super) fn ask_the_next(&mut self) {
        let mut link = self.endpoint.link();
        if let Some(pipe) = link.pipe.take() {
            let _ = self.poller.remove(pipe.channel().as_fd());
        }
        if self.membership.is_some() {
            link.status = Status::Orphaned;
        }
        drop(link);
        let action = self.election.start();
        self.seek(action);
    }

    /// There is nobody to connect to, and nothing to do but wait.
    pub(super) fn stand_by(&mut self) {
        tracing::debug!("waits for somebody to serve");
        let watch = match self.rendezvous.watch() {
            Ok(watch) => watch,
            Err(error) => return self.lack(error),
        };
        let mut link = self.endpoint.link();
        link.vacant = match watch {
            Watch::Vacant => Some(link.vacant.unwrap_or_else(Instant::now)),
            _ => None,
        };
        drop(link);
        // The word that somebody serves can be taken out of the watch by any member.
        let pause = (LOOK_TIME * 2_u32.saturating_pow(self.looks)).min(LONGEST_LOOK_TIME);
        self.later = Some((Instant::now() + pause, Later::LookAgain));
        if watch == Watch::Vacant {
            self.doubt.settle();
            // Who waits for a controller waits for nobody.
            self.endpoint.room.announce();
            return;
        }
        self.doubt.unserved.get_or_insert_with(Instant::now);
        if self.endpoint.options.scope == Scope::User {
            if watch == Watch::Serving {
                // Then there is somebody to connect to, or soon somebody else will take the seat: the watch says
                // that, but not that the socket is back where it was not a moment ago.
                self.later = Some((Instant::now() + ROUND_TIME, Later::AskAgain));
            }
            return;
        }
        match self.doubt.verdict.clone() {
            Some(verdict) if watch == Watch::Serving => {
                // The one who serves may have come after we had looked who is there, and who has just taken the
                // seat has yet to take back the word of who had it before.
                let since = *self.doubt.refused.get_or_insert_with(Instant::now);
                let enough = match self.membership {
                    Some(_) => VACANT_TIME,
                    None => ROUND_TIME,
                };
                if since.elapsed() >= enough {
                    self.end(verdict);
                    return;
                }
            }
            _ => self.doubt.refused = None,
        }
        self.later = Some((Instant::now() + ROUND_TIME, Later::AskAgain));
    }

    /// When to lose patience with who has the seat and does not serve. Who is on the bus goes on
    /// without a controller for as long as it takes.
    pub(super) fn end_of_patience(&self) -> Option<Instant> {
        let waits = matches!(self.phase, Phase::Seeking) && self.membership.is_none();
        let since = self.doubt.unserved.filter(|_| waits)?;
        Some(since + VACANT_TIME)
    }

    pub(super) fn lose_patience(&mut self) {
        match self.rendezvous.watch() {
            Ok(Watch::Pending | Watch::Serving) => {
                self.end(Fate::Obstructed(self.rendezvous.unserved()));
            }
            Ok(Watch::Vacant) => self.doubt.settle(),
            Err(error) => self.lack(error),
        }
    }
}

//! What had to arrive, and what may have been lost.

use super::{Fault, Kind, Ledger, Letter, Life, Verdict, requests};
use crate::chaos::{
    nanoseconds,
    record::{Id, Outcome, Session, To},
    words::Code,
};
use ipmb::SelectorMode;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// By then everybody has noticed a death, unless he was stopped.
const NOTICED: u64 = nanoseconds(Duration::from_secs(5));

/// A controller that takes over gives parked messages what their senders say is left of their ttl,
/// from when it hears that on: so much later it may be.
const PASSED_ON: u64 = nanoseconds(Duration::from_secs(1));

/// What is looked up again and again.
pub(super) struct Court<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) lives: BTreeMap<Session, Life>,
    matching: HashMap<Code, Vec<(Session, Life)>>,
    /// By receiver and sender: when the last one that arrived was sent.
    latest: HashMap<(Session, Session), u64>,
    pub(super) verdict: Verdict,
}

pub(super) fn judge(ledger: &Ledger) -> Verdict {
    let lives = ledger.lives.keys();
    let lives = lives.filter_map(|session| Some((*session, ledger.life(*session)?)));
    let mut court = Court {
        ledger,
        lives: lives.collect(),
        matching: HashMap::new(),
        latest: HashMap::new(),
        verdict: Verdict::default(),
    };
    court.read_inboxes();
    for (id, letter) in &ledger.letters {
        court.judge(*id, letter);
    }
    court
        .verdict
        .faults
        .sort_by_key(|fault| (fault.kind, fault.id));
    court.verdict
}

/// A message for those who satisfy an expression.
struct Case<'a> {
    id: Id,
    letter: &'a Letter,
    begin: u64,
    /// The call had returned, or its process was dead.
    end: u64,
    /// Until then it was certainly for those who come.
    wanted: u64,
    /// From then on it certainly was not.
    expired: u64,
    mode: SelectorMode,
    candidates: Vec<(Session, Life)>,
}

impl Court<'_> {
    pub(super) fn blame(&mut self, kind: Kind, id: Id, at: Option<Session>) {
        self.verdict.faults.push(Fault::of(kind, id, at));
    }

    /// Looks at the order in which each has received, and that nothing came twice.
    fn read_inboxes(&mut self) {
        for (receiver, inbox) in &self.ledger.inboxes {
            for (_, id) in inbox {
                let Some(letter) = self.ledger.letters.get(id) else {
                    continue;
                };
                let Some((begin, _, _)) = letter.sending else {
                    continue;
                };
                let latest = self.latest.entry((*receiver, id.session())).or_default();
                // Between calls that overlap there is no order.
                let overtaken = letter.returned.is_some_and(|(end, _)| end < *latest);
                *latest = begin.max(*latest);
                if overtaken {
                    self.blame(Kind::OutOfOrder, *id, Some(*receiver));
                }
            }
        }
    }

    fn judge(&mut self, id: Id, letter: &Letter) {
        let Some((begin, to, contents)) = letter.sending else {
            return self.blame(Kind::Unknown, id, letter.received.first().map(|it| it.1));
        };
        self.verdict.tally.delivered += letter.received.len() as u64;
        for (_, receiver, found) in &letter.received {
            if *found != contents {
                self.blame(Kind::Damaged, id, Some(*receiver));
            }
        }
        let sender = self.lives.get(&id.session()).copied();
        let out = sender.and_then(|sender| sender.out());
        match letter.returned {
            None if out.is_none() => return self.blame(Kind::Stuck, id, None),
            None => self.verdict.tally.unfinished += 1,
            Some((_, Outcome::Sent | Outcome::Taken)) => self.verdict.tally.sent += 1,
            Some((_, Outcome::NoRoom(_) | Outcome::Nobody)) => self.verdict.tally.refused += 1,
            Some((_, Outcome::Failed)) => return self.blame(Kind::Failed, id, None),
        }
        let (code, mode, ttl, asks) = match to {
            To::Asker(request) => return requests::judge_reply(self, id, letter, request),
            To::Selector {
                code,
                mode,
                ttl,
                asks,
            } => (code, mode, ttl, asks),
        };
        let ttl = u64::from(ttl) * 1000;
        let end = letter.returned.map(|it| it.0).or(out).unwrap_or(u64::MAX);
        let case = Case {
            id,
            letter,
            begin,
            end,
            wanted: begin + ttl,
            expired: match letter.returned {
                _ if ttl == 0 => end,
                // It may be parked only now.
                None | Some((_, Outcome::Taken)) => u64::MAX,
                Some(_) => end + ttl,
            },
            mode,
            candidates: self.candidates(code),
        };
        self.judge_receivers(&case);
        match letter.returned {
            None => {}
            Some((_, Outcome::Sent | Outcome::Taken)) => self.judge_losses(&case),
            Some((_, Outcome::NoRoom(count)))
                if mode == SelectorMode::Multicast && letter.received.len() <= count as usize => {}
            Some(_) => {
                if let Some((_, receiver, _)) = letter.received.first() {
                    self.blame(Kind::Refused, id, Some(*receiver));
                }
            }
        }
        if asks {
            let gone = case.candidates.iter().any(|(session, life)| {
                life.gone().is_some()
                    && match letter.received.is_empty() {
                        true => self.may_have_gone_to(&case, *session, life),
                        false => letter.received.iter().any(|it| it.1 == *session),
                    }
            });
            requests::judge_request(self, id, letter, gone);
        }
    }

    fn candidates(&mut self, code: Code) -> Vec<(Session, Life)> {
        let lives = &self.lives;
        let find = || {
            let expression = code.expression();
            let matching = lives
                .iter()
                .filter(|(_, life)| expression.matches(life.words));
            matching.map(|(session, life)| (*session, *life)).collect()
        };
        self.matching.entry(code).or_insert_with(find).clone()
    }

    /// Whether all who got it could get it.
    fn judge_receivers(&mut self, case: &Case<'_>) {
        let mut seen: Vec<Session> = Vec::new();
        for (time, receiver, _) in &case.letter.received {
            let at = Some(*receiver);
            let is_second = match case.mode {
                SelectorMode::Unicast => {
                    seen.contains(receiver) || seen.iter().any(|it| self.is_known(case, *it, *time))
                }
                SelectorMode::Multicast => seen.contains(receiver),
            };
            if is_second {
                self.blame(Kind::Twice, case.id, at);
            }
            seen.push(*receiver);
            let Some((_, life)) = case.candidates.iter().find(|it| it.0 == *receiver) else {
                self.blame(Kind::WrongReceiver, case.id, at);
                continue;
            };
            if life.joining >= case.expired {
                let overtime = self.unstopped(case.expired, life.joining);
                // The controller may have been any that was killed or left.
                let mut others = self.lives.values();
                let passed_on = others.any(|other| {
                    let from = other.gone().is_some_and(|from| from < life.joining);
                    from && other.out().is_none_or(|to| to > case.begin)
                });
                if passed_on && overtime <= PASSED_ON {
                    self.verdict.tally.overtime = self.verdict.tally.overtime.max(overtime);
                } else {
                    self.blame(Kind::Late, case.id, at);
                }
            }
            if case.mode == SelectorMode::Unicast
                && case.has_better_than(life, case.chosen_by(life, *time))
            {
                self.blame(Kind::NotTheFirst, case.id, at);
            }
        }
    }

    /// Whether all got it who had to.
    fn judge_losses(&mut self, case: &Case<'_>) {
        if case.mode == SelectorMode::Multicast {
            let certain = case
                .candidates
                .iter()
                .filter(|it| it.1.spans(case.begin, case.end));
            let certain: Vec<_> = certain.copied().collect();
            for (session, life) in &certain {
                let has_it = case.letter.received.iter().any(|it| it.1 == *session);
                let may_miss_it = life.gone().is_some() || life.words.is_lossy();
                if has_it || !may_miss_it {
                    self.verdict.tally.due += 1;
                }
                if has_it {
                } else if life.words.is_lossy() {
                    self.verdict.tally.dropped += 1;
                } else if life.gone().is_some() && !self.has_later(case, *session) {
                    self.verdict.tally.unread += 1;
                } else {
                    self.blame(Kind::Lost, case.id, Some(*session));
                }
            }
            if !certain.is_empty() {
                return;
            }
        }
        self.judge_loss(case);
    }

    /// Whether it came to somebody, if there was somebody.
    fn judge_loss(&mut self, case: &Case<'_>) {
        // Who was there, or came in time, and is still there: it cannot be that nobody was meant.
        let there = case.candidates.iter().find(|(_, life)| {
            life.gone().is_none() && life.joined.is_some_and(|joined| joined <= case.wanted)
        });
        let there = there.copied();
        if !case.letter.received.is_empty() {
            self.verdict.tally.due += 1;
            return;
        }
        let lossy = case.candidates.iter().find(|(session, life)| {
            life.words.is_lossy() && self.may_have_gone_to(case, *session, life)
        });
        if lossy.is_some() {
            self.verdict.tally.dropped += 1;
            return;
        }
        let dead = case.candidates.iter().filter(|(session, life)| {
            life.gone().is_some() && self.may_have_gone_to(case, *session, life)
        });
        if let Some(lateness) = dead.map(|(_, life)| self.lateness(case, life)).min() {
            if lateness > NOTICED && there.is_some() {
                self.blame(Kind::Lost, case.id, None);
            } else {
                self.verdict.tally.unread += 1;
                self.verdict.tally.latest = self.verdict.tally.latest.max(match there {
                    Some(_) => lateness,
                    None => 0,
                });
            }
            return;
        }
        match there {
            None => self.verdict.tally.unwanted += 1,
            Some(_) if self.is_orphan(case) => self.verdict.tally.orphaned += 1,
            Some((session, _)) => {
                self.verdict.tally.due += 1;
                self.blame(Kind::Lost, case.id, Some(session));
            }
        }
    }

    /// Whether it may be that it went to this one, who may not have read it.
    fn may_have_gone_to(&self, case: &Case<'_>, session: Session, life: &Life) -> bool {
        let gone = life.gone().unwrap_or(u64::MAX);
        let meant = case.mode == SelectorMode::Multicast
            || !case.has_better_than(life, case.chosen_by(life, gone));
        let missed = !life.words.is_lossy() && self.has_later(case, session);
        meant && life.joining < case.expired && !missed
    }

    /// Whether it has received something that was sent after this one: then it had read this one, or
    /// never got it.
    fn has_later(&self, case: &Case<'_>, receiver: Session) -> bool {
        let latest = self.latest.get(&(receiver, case.id.session()));
        latest.is_some_and(|latest| *latest > case.end)
    }

    /// How long after its death it was sent to somebody.
    fn lateness(&self, case: &Case<'_>, life: &Life) -> u64 {
        life.out().map_or(0, |out| self.unstopped(out, case.begin))
    }

    /// The time between two times in which nobody was stopped.
    fn unstopped(&self, from: u64, to: u64) -> u64 {
        let mut time = to.saturating_sub(from);
        let mut counted = from;
        for (_, begin, end) in &self.ledger.stops {
            let begin = (*begin).max(counted);
            let end = end.unwrap_or(u64::MAX).min(to);
            if begin < end {
                time -= end - begin;
                counted = end;
            }
        }
        time
    }

    /// Whether somebody knows at that time that this one has had it. With who got a parked message, and
    /// the controller that gave it out, everybody may be dead who knew that; then it is given out again.
    fn is_known(&self, case: &Case<'_>, receiver: Session, at: u64) -> bool {
        let parked = !case
            .candidates
            .iter()
            .any(|it| it.1.spans(case.begin, case.end));
        let killed = self.lives.get(&receiver).and_then(|life| life.killing);
        let mut others = self
            .lives
            .iter()
            .filter(|it| it.0.process() != receiver.process());
        let controller =
            others.any(|(_, life)| (life.out()).is_some_and(|out| (case.begin..at).contains(&out)));
        !(parked && killed.is_some_and(|killed| killed < at) && controller)
    }

    /// Whether it was parked, its sender is gone, and another process died after it.
    fn is_orphan(&self, case: &Case<'_>) -> bool {
        let Some(gone) = self.lives.get(&case.id.session()).and_then(Life::gone) else {
            return false;
        };
        let nobody = !case
            .candidates
            .iter()
            .any(|it| it.1.spans(case.begin, case.end));
        let others = self
            .lives
            .iter()
            .filter(|it| it.0.process() != case.id.session().process());
        let mut deaths = others.filter_map(|(_, life)| life.out());
        let served = (self.ledger.servers).contains(&case.id.session().process());
        let and_controller = served || deaths.any(|death| death > case.begin);
        nobody && gone < case.expired && and_controller
    }
}

impl Case<'_> {
    /// By when this one was chosen, if it was, who may have received it at that time.
    fn chosen_by(&self, life: &Life, received: u64) -> u64 {
        let was_there = |it: &&(Session, Life)| it.1.spans(self.begin, self.end);
        match self.candidates.iter().find(was_there) {
            Some(_) => self.end.max(life.joining),
            // While it is parked it may be behind another one of its sender's, of which it is not known
            // whether somebody has it who has yet to come back to a new controller.
            None => received,
        }
    }

    /// Whether somebody is preferred to this one, at all times until then.
    fn has_better_than(&self, life: &Life, until: u64) -> bool {
        let mut others = self.candidates.iter();
        others.any(|(_, other)| other.precedes(life) && other.lasts_until(until))
    }
}

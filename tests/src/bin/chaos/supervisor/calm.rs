//! The part of a round in which everything comes to rest, and is judged.

use super::{
    Supervisor,
    actor::{Actor, State},
    clock::Fair,
    keep_logs,
};
use crate::{leaks, player::TTL};
use ipmb_tests::chaos::ledger::{Fault, Kind, Verdict};
use std::{
    thread,
    time::{Duration, Instant},
};

/// In seconds. Nothing takes so long if nothing is forgotten, however busy the machine is.
const REST: u64 = 120;
/// What is on its way when all is quiet arrives within this time, in seconds.
const ARRIVAL: u64 = 30;

impl Supervisor {
    /// Lets everything come to rest, and judges what was. Those who are on the bus then play on, or
    /// leave.
    pub(super) fn calm(&mut self) {
        if !self.come_to_rest() {
            return;
        }
        let verdict = self.judge();
        if !verdict.faults.is_empty() {
            keep_logs(&self.cast, self.report.rounds + 1);
        }
        for fault in verdict.faults {
            let history = fault.id.map(|id| self.ledger.history(id));
            self.report.blame(fault, history);
        }
        self.report.tally += verdict.tally;
        self.report.rounds += 1;
        self.look_for_leaks();
        self.ledger.begin_round();
        self.disturbances.clear();
        for actor in &mut self.actors {
            if actor.state == State::On {
                match self.dice.chance(150) {
                    true => actor.leave(),
                    false => actor.tell("play"),
                }
            }
        }
    }

    /// Everybody leaves, and has nothing left.
    pub(super) fn everybody_leaves(&mut self) {
        for actor in &mut self.actors {
            if actor.state == State::On {
                actor.leave();
            }
        }
        let all_off = |it: &Self| it.actors.iter().all(|actor| actor.state == State::Off);
        // Somebody may be joining.
        let mut patience = Fair::of_seconds(REST);
        while !all_off(self) && patience.goes_on() {
            self.hear();
            for actor in &mut self.actors {
                if actor.state == State::On {
                    actor.leave();
                }
            }
        }
        if !all_off(self) {
            self.give_up("not everybody leaves");
        }
    }

    fn come_to_rest(&mut self) -> bool {
        self.wake(Instant::now() + Duration::from_secs(3600));
        // Everybody is there then.
        self.vacant
            .iter_mut()
            .for_each(|(_, from)| *from = Instant::now());
        self.fill_vacancies();
        let settled = |it: &Self| {
            let mut states = it.actors.iter().map(|actor| actor.state);
            states.all(|state| state == State::On)
        };
        let rejoin = |it: &mut Self| it.rejoin(1000);
        if !self.wait_until(rejoin, settled) {
            self.give_up("somebody does not join or leave");
            return false;
        }
        for actor in &mut self.actors {
            actor.quiet = false;
            actor.tell("quiet");
        }
        if !self.wait_until(|_| {}, |it| it.actors.iter().all(|actor| actor.quiet)) {
            self.give_up("somebody does not come to an end");
            return false;
        }
        // Then nothing is parked any more.
        thread::sleep(Duration::from_micros(TTL));
        true
    }

    fn wait_until(
        &mut self,
        mut help: impl FnMut(&mut Self),
        condition: impl Fn(&Self) -> bool,
    ) -> bool {
        let mut patience = Fair::of_seconds(REST);
        loop {
            self.hear();
            help(self);
            if condition(self) {
                return true;
            }
            if !patience.goes_on() {
                return false;
            }
        }
    }

    fn judge(&mut self) -> Verdict {
        let mut patience = Fair::of_seconds(ARRIVAL);
        loop {
            self.hear();
            for actor in &mut self.actors {
                Self::read(&mut self.ledger, actor);
            }
            let verdict = self.ledger.judge();
            let is_done = !verdict.faults.iter().any(|fault| fault.kind.may_pass());
            if is_done || !patience.goes_on() {
                return verdict;
            }
        }
    }

    /// In those who are on the bus. What is closed late is none.
    fn look_for_leaks(&mut self) {
        let on = self.actors.iter().filter(|actor| actor.state == State::On);
        let is_lossy = |actor: &Actor| self.ledger.is_lossy(actor.process);
        let pids: Vec<_> = on.map(|actor| (actor.pid(), is_lossy(actor))).collect();
        let mut patience = Fair::of_seconds(ARRIVAL);
        loop {
            // One more for the prober.
            let look = |(pid, lossy): &(u32, bool)| leaks::look(*pid, *lossy, pids.len());
            let (faults, counts): (Vec<_>, Vec<_>) = pids.iter().map(look).unzip();
            let faults: Vec<_> = faults.into_iter().flatten().collect();
            if faults.is_empty() {
                self.report.descriptors =
                    counts.into_iter().fold(self.report.descriptors, Ord::max);
                return;
            }
            if !patience.goes_on() {
                return faults
                    .into_iter()
                    .for_each(|fault| self.report.blame(fault, None));
            }
        }
    }

    fn give_up(&mut self, why: &str) {
        let pictures: Vec<_> = self.actors.iter().map(|actor| actor.picture()).collect();
        for actor in &mut self.actors {
            Self::read(&mut self.ledger, actor);
        }
        let verdict = self.ledger.judge();
        let stuck = verdict
            .faults
            .iter()
            .filter(|fault| fault.kind == Kind::Stuck)
            .take(5);
        let stuck: Vec<_> = stuck.filter_map(|fault| fault.id).collect();
        let histories = stuck
            .into_iter()
            .map(|id| self.ledger.history(id))
            .collect::<String>();
        let text = format!("{}\n{histories}", pictures.join("\n"));
        self.report.blame(Fault::said(Kind::Stuck, why), Some(text));
    }
}

//! The part of a round in which everything happens at once.

use super::{
    Supervisor,
    actor::{Actor, State},
    clock,
};
use ipmb_tests::chaos::{
    nanoseconds, now,
    record::{Event, Process, Record},
};
use rustix::process::Signal;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Nobody's: everybody was stopped.
const EVERYBODY: Process = Process(0);

impl Supervisor {
    pub(super) fn storm(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let rest = self.dice.micros(1_000..=60_000);
            self.rest(rest);
            self.hear();
            self.wake(Instant::now());
            self.fill_vacancies();
            self.rejoin(200);
            self.act();
        }
    }

    /// Waits, and takes note if it was much longer.
    fn rest(&mut self, time: Duration) {
        let begin = (Instant::now(), now());
        thread::sleep(time);
        let took = begin.0.elapsed();
        if clock::is_pause(took.saturating_sub(time)) {
            let events = [Event::Stopping(EVERYBODY), Event::Continuing(EVERYBODY)];
            for (event, time) in events
                .into_iter()
                .zip([begin.1, begin.1 + nanoseconds(took)])
            {
                self.ledger.add(Record { time, event });
            }
            self.disturbances.push((begin.0, begin.0 + took));
            self.report.pauses += 1;
        }
    }

    /// Lets those go on who have been stopped until then.
    pub(super) fn wake(&mut self, until: Instant) {
        let mut awake = Vec::new();
        for actor in &mut self.actors {
            if actor.stopped.is_some_and(|time| time <= until) {
                actor.stopped = None;
                awake.push(Event::Continuing(actor.process));
                actor.signal(Signal::CONT);
            }
        }
        awake.into_iter().for_each(|event| self.note(event));
    }

    pub(super) fn fill_vacancies(&mut self) {
        let now = Instant::now();
        let due = self.vacant.extract_if(.., |(_, from)| *from <= now);
        let due: Vec<u64> = due.map(|(name, _)| name).collect();
        due.into_iter().for_each(|name| self.start(name));
    }

    /// Has so many of a thousand who have left join again, or end.
    pub(super) fn rejoin(&mut self, per_mille: u64) {
        let mut off = Vec::new();
        for at in 0..self.actors.len() {
            if self.actors[at].state == State::Off && self.dice.chance(per_mille) {
                off.push(at);
            }
        }
        for at in off.into_iter().rev() {
            let stays = per_mille == 1000 || !self.dice.chance(100);
            match self.actors[at].is_fresh() && stays {
                true => self.actors[at].join(),
                false => self.retire(at),
            }
        }
    }

    /// Ends a process that is not on the bus.
    fn retire(&mut self, at: usize) {
        let mut actor = self.actors.swap_remove(at);
        Self::read(&mut self.ledger, &mut actor);
        self.vacate(actor.name);
        self.forget(&actor);
        self.report.finish(actor);
    }

    fn act(&mut self) {
        match self.dice.among(0..=99) {
            0..=8 => self.kill_the_controller(),
            9..=12 => {
                if let Some(at) = self.anybody() {
                    self.kill(at);
                }
            }
            13 => {
                self.kill_the_controller();
                for _ in 0..self.dice.among(1..=3) {
                    self.kill_the_controller();
                    if let Some(at) = self.anybody() {
                        self.kill(at);
                    }
                }
            }
            14..=27 => {
                if let Some(at) = self.anybody() {
                    self.stop(at);
                }
            }
            28..=32 => {
                if let Some(at) = self.controller() {
                    self.stop(at);
                }
            }
            33..=42 => {
                if let Some(at) = self.anybody()
                    && self.actors[at].state == State::On
                {
                    self.report.leaves += 1;
                    self.actors[at].leave();
                }
            }
            _ => {}
        }
    }

    fn anybody(&mut self) -> Option<usize> {
        let all: Vec<usize> = (0..self.actors.len()).collect();
        self.dice.choose(&all).copied()
    }

    /// Who serves the bus at the moment.
    fn controller(&self) -> Option<usize> {
        let pid = self.bus.controller()?;
        self.actors.iter().position(|actor| actor.pid() == pid)
    }

    fn kill_the_controller(&mut self) {
        let Some(at) = self.controller() else { return };
        let time = self.kill(at);
        self.prober.controller_died(time);
        self.report.controllers += 1;
    }

    fn kill(&mut self, at: usize) -> Instant {
        let serves = self.controller() == Some(at);
        let mut actor = self.actors.swap_remove(at);
        if serves {
            self.note(Event::Serving(actor.process));
        }
        self.note(Event::Killing(actor.process));
        let time = Instant::now();
        actor.signal(Signal::KILL);
        actor.wait_until_dead();
        self.note(Event::Dead(actor.process));
        self.disturbances.push((time, time));
        self.report.kills += 1;
        Self::read(&mut self.ledger, &mut actor);
        self.vacate(actor.name);
        self.forget(&actor);
        time
    }

    fn vacate(&mut self, name: u64) {
        let time = self.dice.micros(0..=600_000);
        self.vacant.push((name, Instant::now() + time));
    }

    fn forget(&self, actor: &Actor) {
        let book = self.cast.books.join(actor.process.0.to_string());
        // It is read to its end.
        let _ = std::fs::remove_file(book);
    }

    fn stop(&mut self, at: usize) {
        if self.actors[at].stopped.is_some() {
            return;
        }
        let time = match self.dice.chance(200) {
            true => self.dice.micros(80_000..=1_500_000),
            false => self.dice.micros(1_000..=80_000),
        };
        let now = Instant::now();
        self.note(Event::Stopping(self.actors[at].process));
        let actor = &mut self.actors[at];
        actor.signal(Signal::STOP);
        actor.stopped = Some(now + time);
        self.disturbances.push((now, now + time));
        self.report.stops += 1;
    }
}

//! Two receivers, of which one does nothing for a second while messages keep coming: how long the
//! other one hears nothing.

use super::{About, Figures, Task, meet};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Peer, Role, Seat},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const SILENCE: &str = "longest silence ms";

pub(super) const ABOUT: About = About {
    name: "stalled",
    title: "a message every 100 µs to two receivers, one of which does nothing for a second",
    sizes: &[1 << 10],
    quick_sizes: &[1 << 10],
    crews: &[(2, 1)],
    quick_crews: &[(2, 1)],
    headline: SILENCE,
    least_time: TIME,
    ..About::BASE
};

const PACE: Duration = Duration::from_micros(100);
const STALL: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_millis(1_300);
/// Which of the two.
const STALLED: usize = 1;

pub(super) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let mut peer = meet::<P>(seat)?;
    match seat.role {
        Role::Sender => send(&mut peer, task),
        Role::Receiver if seat.index == STALLED => stall(&mut peer, task),
        Role::Receiver => listen(&mut peer, task),
    }
}

fn send(peer: &mut impl Peer, task: &Task) -> Result<Figures> {
    let mut stamper = Stamper::new(task.size, 0);
    let begin = Instant::now();
    let mut next = begin;
    loop {
        let phase = match begin.elapsed() {
            it if it < task.warm_up => Phase::WarmUp,
            it if it < task.warm_up + task.time => Phase::Measured,
            _ => Phase::Last,
        };
        peer.send(stamper.stamp(phase))?;
        if phase == Phase::Last {
            return Ok(Vec::new());
        }
        // Whoever was kept waiting does not catch up.
        next = (next + PACE).max(Instant::now());
        thread::sleep(next - Instant::now());
    }
}

fn listen(peer: &mut impl Peer, task: &Task) -> Result<Figures> {
    let mut checker = Checker::new(task.size, 1);
    while checker.check(peer.receive()?.as_ref())? == Phase::WarmUp {}
    let mut last = Instant::now();
    let mut silence = Duration::ZERO;
    loop {
        let phase = checker.check(peer.receive()?.as_ref())?;
        silence = silence.max(last.elapsed());
        last = Instant::now();
        if phase == Phase::Last {
            return Ok(vec![(SILENCE, silence.as_secs_f64() * 1e3)]);
        }
    }
}

fn stall(peer: &mut impl Peer, task: &Task) -> Result<Figures> {
    let mut checker = Checker::new(task.size, 1);
    while checker.check(peer.receive()?.as_ref())? == Phase::WarmUp {}
    thread::sleep(STALL);
    while checker.check(peer.receive()?.as_ref())? != Phase::Last {}
    Ok(Vec::new())
}

//! One process asks, the other sends back what it got: as messages, or as request and reply.

use super::{
    About, Figures, Task, Work,
    latency::{Latencies, MEDIAN, P99},
    meet,
};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Offer, Peer, Role, Seat},
};
use std::{
    thread,
    time::{Duration, Instant},
};

pub(super) const AWAKE: About = About {
    name: "round-trip",
    title: "round trip, both awake",
    headline: MEDIAN,
    details: &["90% µs", P99, "99.9% µs", "max µs"],
    ..About::BASE
};

pub(super) const ASLEEP: About = About {
    name: "round-trip-asleep",
    title: "round trip at 1 kHz, the receiver asleep",
    ..AWAKE
};

pub(super) const REQUEST: About = About {
    name: "request",
    title: "request and reply, both awake",
    needs: Some(Offer::Requests),
    ..AWAKE
};

/// In between, the other goes to sleep.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let mut peer = meet::<P>(seat)?;
    match seat.role {
        Role::Receiver => answer(task, |checker| peer.echo(checker)),
        Role::Sender => ask(task, |message, checker| {
            peer.send(message)?;
            let answer = peer.receive()?;
            let end = Instant::now();
            checker.check(answer.as_ref())?;
            Ok(end)
        }),
    }
}

pub(super) fn play_request<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let mut peer = meet::<P>(seat)?;
    match seat.role {
        Role::Receiver => answer(task, |checker| peer.reply(checker)),
        Role::Sender => ask(task, |message, checker| {
            let mut end = Instant::now();
            peer.request(message, &mut |answer| {
                end = Instant::now();
                checker.check(answer).map(drop)
            })?;
            Ok(end)
        }),
    }
}

fn answer(task: &Task, mut next: impl FnMut(&mut Checker) -> Result<Phase>) -> Result<Figures> {
    let mut checker = Checker::new(task.size, 1);
    while next(&mut checker)? != Phase::Last {}
    Ok(Vec::new())
}

/// Asks again and again. `ask` says when the answer was there.
fn ask(
    task: &Task,
    mut ask: impl FnMut(&[u8], &mut Checker) -> Result<Instant>,
) -> Result<Figures> {
    let mut stamper = Stamper::new(task.size, 0);
    let mut checker = Checker::new(task.size, 1);
    let mut round = |phase| {
        if task.work == Work::RoundTripAsleep {
            thread::sleep(PAUSE);
        }
        let message = stamper.stamp(phase);
        let start = Instant::now();
        Ok::<_, crate::Failure>((start, ask(message, &mut checker)?))
    };

    let begin = Instant::now();
    while round(Phase::WarmUp)?.1 - begin < task.warm_up {}
    let mut latencies = Latencies::new()?;
    let begin = Instant::now();
    loop {
        let (start, end) = round(Phase::Measured)?;
        latencies.record(end - start)?;
        if end - begin >= task.time {
            break;
        }
    }
    round(Phase::Last)?;
    Ok(latencies.figures())
}

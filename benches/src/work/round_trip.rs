//! One process asks, the other sends back what it got.

use super::{Figures, Task};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::Peer,
    statistics::percentile,
};
use std::{
    thread,
    time::{Duration, Instant},
};

pub(super) const MEDIAN: &str = "median µs";
pub(super) const P99: &str = "99% µs";

/// Asks again and again; with a `pace`, no sooner than that after the last time, so that the
/// other has gone to sleep.
pub(super) fn ask<P: Peer>(peer: &mut P, task: &Task, pace: Option<Duration>) -> Result<Figures> {
    let mut stamper = Stamper::new(task.size, 0);
    let mut checker = Checker::new(task.size, 1);
    let mut round = |phase| {
        if let Some(pace) = pace {
            thread::sleep(pace);
        }
        let message = stamper.stamp(phase);
        let start = Instant::now();
        peer.send(message)?;
        let answer = peer.receive()?;
        let end = Instant::now();
        checker.check(answer.as_ref())?;
        Ok::<_, crate::Failure>((start, end))
    };

    let begin = Instant::now();
    while round(Phase::WarmUp)?.1 - begin < task.warm_up {}
    let begin = Instant::now();
    let mut times = Vec::new();
    loop {
        let (start, end) = round(Phase::Measured)?;
        times.push((end - start).as_nanos() as f64 / 1e3);
        if end - begin >= task.time {
            break;
        }
    }
    round(Phase::Last)?;

    times.sort_by(f64::total_cmp);
    let at = |part| percentile(&times, part).unwrap_or(f64::NAN);
    Ok(vec![
        (MEDIAN, at(0.5)),
        (P99, at(0.99)),
        ("min µs", at(0.0)),
        ("90% µs", at(0.9)),
        ("99.9% µs", at(0.999)),
        ("max µs", at(1.0)),
        ("rounds", times.len() as f64),
    ])
}

pub(super) fn echo<P: Peer>(peer: &mut P, task: &Task) -> Result<Figures> {
    let mut checker = Checker::new(task.size, 1);
    while peer.echo(&mut checker)? != Phase::Last {}
    Ok(Vec::new())
}

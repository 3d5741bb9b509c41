//! One process sends as fast as it can, the other receives.

use super::{Figures, Task, cpu_time, repeat};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::Peer,
};
use std::time::Instant;

pub(super) const RATE: &str = "messages/s";
pub(super) const SENDER_CPU: &str = "sender CPU ns/message";
pub(super) const RECEIVER_CPU: &str = "receiver CPU ns/message";

pub(super) fn send<P: Peer>(peer: &mut P, task: &Task) -> Result<Figures> {
    let mut stamper = Stamper::new(task.size);
    repeat(task.warm_up, || peer.send(stamper.stamp(Phase::WarmUp)))?;
    let cpu = cpu_time();
    let sent = repeat(task.time, || peer.send(stamper.stamp(Phase::Measured)))?;
    let cpu = cpu_time() - cpu;
    peer.send(stamper.stamp(Phase::Last))?;
    Ok(vec![(SENDER_CPU, cpu.as_nanos() as f64 / sent as f64)])
}

/// The rate is that at which messages come out, from the first measured to the last.
pub(super) fn receive<P: Peer>(peer: &mut P, task: &Task) -> Result<Figures> {
    let mut checker = Checker::new(task.size);
    while checker.check(peer.receive()?.as_ref())? == Phase::WarmUp {}
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut received = 1;
    while checker.check(peer.receive()?.as_ref())? != Phase::Last {
        received += 1;
    }
    let (time, cpu) = (start.elapsed(), cpu_time() - cpu);
    Ok(vec![
        (RATE, f64::from(received) / time.as_secs_f64()),
        (RECEIVER_CPU, cpu.as_nanos() as f64 / f64::from(received)),
    ])
}

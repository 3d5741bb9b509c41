//! Senders send as fast as they can, and receivers receive: one way, fan-out, fan-in, many to many.

use super::{Figures, Task, cpu_time, repeat};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Peer, Seat},
};
use std::time::Instant;

/// Of all receivers together.
pub(super) const RATE: &str = "messages/s";
/// Of all processes together.
pub(super) const CPU: &str = "CPU ns/message";
pub(super) const SENDER_CPU: &str = "sender CPU ns/message";
pub(super) const RECEIVER_CPU: &str = "receiver CPU ns/message";
/// What the slowest sender got through, as a part of what it would be if all got the same.
pub(super) const FAIRNESS: &str = "slowest sender's share";

pub(super) fn send<P: Peer>(peer: &mut P, seat: &Seat, task: &Task) -> Result<Figures> {
    let mut stamper = Stamper::new(task.size, seat.index);
    repeat(task.warm_up, || peer.send(stamper.stamp(Phase::WarmUp)))?;
    let cpu = cpu_time();
    let sent = repeat(task.time, || peer.send(stamper.stamp(Phase::Measured)))?;
    let cpu = (cpu_time() - cpu).as_nanos() as f64;
    peer.send(stamper.stamp(Phase::Last))?;
    // The same number of messages comes from each sender only where there is one.
    let each = cpu / (sent as f64 * task.receivers as f64) / task.senders as f64;
    Ok(vec![(CPU, each), (SENDER_CPU, each)])
}

/// The rate is that at which messages come out, from the first measured to the first sender's last.
pub(super) fn receive<P: Peer>(peer: &mut P, task: &Task) -> Result<Figures> {
    let mut checker = Checker::new(task.size, task.senders);
    let mut sending = task.senders;
    while checker.check(peer.receive()?.as_ref())? == Phase::WarmUp {}
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut received = vec![0u64; task.senders];
    while sending == task.senders {
        let (sender, phase) = checker.check_from(peer.receive()?.as_ref())?;
        received[sender] += 1;
        sending -= usize::from(phase == Phase::Last);
    }
    let (time, cpu) = (start.elapsed(), cpu_time() - cpu);
    // What still comes has to be whole, too.
    while sending > 0 {
        let phase = checker.check(peer.receive()?.as_ref())?;
        sending -= usize::from(phase == Phase::Last);
    }

    let all = received.iter().sum::<u64>() as f64;
    let slowest = received.iter().min().copied().unwrap_or_default() as f64;
    let cpu = cpu.as_nanos() as f64 / all / task.receivers as f64;
    Ok(vec![
        (RATE, all / time.as_secs_f64()),
        (CPU, cpu),
        (RECEIVER_CPU, cpu),
        (FAIRNESS, slowest * task.senders as f64 / all),
    ])
}

//! Senders send as fast as they can, and receivers receive: one way, fan-out, fan-in, many to many.

use super::{
    About, Figures, Task, cpu_time,
    kind::{KIB, MIB},
    meet, repeat,
};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Peer, Role, Seat},
};
use std::time::Instant;

pub(super) const ONE_WAY: About = About {
    name: "one-way",
    title: "one way, as fast as it goes",
    sizes: &[16, 64, KIB, 4 * KIB, 16 * KIB, 64 * KIB, MIB, 16 * MIB],
    quick_sizes: &[64, 4 * KIB, 64 * KIB, MIB],
    headline: RATE,
    more_is_better: true,
    details: &[CPU, SENDER_CPU, RECEIVER_CPU],
    ..About::BASE
};

pub(super) const FAN_OUT: About = About {
    name: "fan-out",
    title: "fan-out, each message to all receivers; deliveries count",
    crews: &[(1, 1), (2, 1), (4, 1), (8, 1), (16, 1)],
    quick_crews: &[(1, 1), (4, 1), (8, 1)],
    headline: RATE,
    more_is_better: true,
    details: &[CPU],
    ..About::BASE
};

pub(super) const FAN_IN: About = About {
    name: "fan-in",
    title: "fan-in, several senders to one receiver",
    crews: &[(1, 1), (1, 2), (1, 4), (1, 8)],
    quick_crews: &[(1, 1), (1, 8)],
    headline: RATE,
    more_is_better: true,
    details: &[CPU, FAIRNESS],
    ..About::BASE
};

pub(super) const MANY_TO_MANY: About = About {
    name: "many-to-many",
    title: "many to many, each message to all receivers; deliveries count",
    crews: &[(4, 4)],
    quick_crews: &[(4, 4)],
    ..FAN_IN
};

/// Of all receivers together.
pub(super) const RATE: &str = "messages/s";
/// Of all processes together.
pub(super) const CPU: &str = "CPU ns/message";
const SENDER_CPU: &str = "sender CPU ns/message";
const RECEIVER_CPU: &str = "receiver CPU ns/message";
/// What the slowest sender got through, as a part of what it would be if all got the same.
pub(super) const FAIRNESS: &str = "slowest sender's share";

pub(super) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let mut peer = meet::<P>(seat)?;
    match seat.role {
        Role::Receiver => receive(task, |checker| checker.check_from(peer.receive()?.as_ref())),
        Role::Sender => send(seat, task, |stamper, phase| peer.send_next(stamper, phase)),
    }
}

/// Sends with `next` as fast as it can.
pub(super) fn send(
    seat: &Seat,
    task: &Task,
    mut next: impl FnMut(&mut Stamper, Phase) -> Result<()>,
) -> Result<Figures> {
    let mut stamper = Stamper::new(task.size, seat.index);
    repeat(task.warm_up, || next(&mut stamper, Phase::WarmUp))?;
    let cpu = cpu_time();
    let sent = repeat(task.time, || next(&mut stamper, Phase::Measured))?;
    let cpu = (cpu_time() - cpu).as_nanos() as f64;
    next(&mut stamper, Phase::Last)?;
    // The senders' mean, which is that of all messages where they get the same.
    let each = cpu / (sent as f64 * task.receivers as f64) / task.senders as f64;
    Ok(vec![(CPU, each), (SENDER_CPU, each)])
}

/// Receives with `next`, which says from whom a message is. The rate is that at which they come
/// out, from the first measured to the first sender's last.
pub(crate) fn receive(
    task: &Task,
    mut next: impl FnMut(&mut Checker) -> Result<(usize, Phase)>,
) -> Result<Figures> {
    let mut checker = Checker::new(task.size, task.senders);
    let mut sending = task.senders;
    while next(&mut checker)?.1 == Phase::WarmUp {}
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut received = vec![0u64; task.senders];
    while sending == task.senders {
        let (sender, phase) = next(&mut checker)?;
        received[sender] += 1;
        sending -= usize::from(phase == Phase::Last);
    }
    let (time, cpu) = (start.elapsed(), cpu_time() - cpu);
    // What still comes has to be whole, too.
    while sending > 0 {
        let (_, phase) = next(&mut checker)?;
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

//! The first message to somebody to whom one has never sent: from the call that sends it to its
//! arrival. Each time the sender has just joined.

use super::{
    About, Figures, Task,
    latency::{Latencies, MEDIAN, P99},
    meet, monotonic_time,
};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Offer, Peer, Role, Seat},
};
use std::time::{Duration, Instant};

pub(super) const ABOUT: About = About {
    name: "first-contact",
    title: "first contact: from the first send to its arrival, the join done",
    headline: MEDIAN,
    details: &[P99, "max µs", "samples"],
    needs: Some(Offer::Join),
    ..About::BASE
};

/// Where a message says when it was sent.
const TIME: std::ops::Range<usize> = 8..16;
const SMALLEST: usize = 24;

pub(super) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    match seat.role {
        Role::Sender => send::<P>(seat, task),
        Role::Receiver => receive(&mut meet::<P>(seat)?, task),
    }
}

fn send<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    seat.ready()?;
    seat.wait_for_all()?;
    let seat = seat.once_more();
    let mut stamper = Stamper::new(task.size.max(SMALLEST), 0);
    let begin = Instant::now();
    loop {
        let mut peer = P::connect(&seat)?;
        let phase = match begin.elapsed() {
            it if it < task.warm_up => Phase::WarmUp,
            it if it < task.warm_up + task.time => Phase::Measured,
            _ => Phase::Last,
        };
        let mut message = stamper.stamp(phase).to_vec();
        let now = monotonic_time().as_nanos() as u64;
        if let Some(place) = message.get_mut(TIME) {
            place.copy_from_slice(&now.to_le_bytes());
        }
        peer.send(&message)?;
        peer.receive()?;
        if phase == Phase::Last {
            std::mem::forget(peer);
            return Ok(Vec::new());
        }
    }
}

fn receive(peer: &mut impl Peer, task: &Task) -> Result<Figures> {
    let mut checker = Checker::new(task.size.max(SMALLEST), 1);
    let mut latencies = Latencies::new()?;
    loop {
        let message = peer.receive()?.as_ref().to_vec();
        let now = monotonic_time();
        let phase = checker.check(&message)?;
        let sent = message.get(TIME).and_then(|it| it.first_chunk());
        let sent = Duration::from_nanos(sent.map_or(0, |it| u64::from_le_bytes(*it)));
        if phase == Phase::Measured {
            latencies.record(now.saturating_sub(sent))?;
        }
        peer.send(&message)?;
        if phase == Phase::Last {
            return Ok(latencies.figures());
        }
    }
}

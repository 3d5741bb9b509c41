//! A process joins a bus on which others sit, and leaves it, again and again.

use super::{
    About, Figures, Task,
    latency::{Latencies, MEDIAN, P99},
    meet,
};
use crate::{
    Result,
    peers::{Offer, Peer, Role, Seat},
};
use std::time::Instant;

pub(super) const ABOUT: About = About {
    name: "join",
    title: "join, on a bus with four others",
    crews: &[(4, 1)],
    quick_crews: &[(4, 1)],
    headline: MEDIAN,
    details: &[P99, "max µs", "samples"],
    needs: Some(Offer::Join),
    ..About::BASE
};

pub(super) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    match seat.role {
        Role::Sender => join::<P>(seat, task),
        Role::Receiver => {
            // It sits there until it is killed.
            std::mem::forget(meet::<P>(seat)?);
            Ok(Vec::new())
        }
    }
}

fn join<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    seat.ready()?;
    seat.wait_for_all()?;
    let seat = seat.once_more();
    let begin = Instant::now();
    let mut latencies = Latencies::new()?;
    loop {
        let start = Instant::now();
        let peer = P::connect(&seat)?;
        let end = Instant::now();
        drop(peer);
        if end - begin >= task.warm_up {
            latencies.record(end - start)?;
        }
        if end - begin >= task.warm_up + task.time {
            return Ok(latencies.figures());
        }
    }
}

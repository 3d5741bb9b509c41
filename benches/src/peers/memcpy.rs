//! What copying costs: the receiver copies messages out of its own memory, and nobody sends any.

use super::{Entry, Role, Seat};
use crate::{
    Result,
    message::{Phase, Stamper},
    work::{Figures, Task, Work, receive_stream},
};
use std::{hint::black_box, time::Instant};

/// Bytes that are copied between two looks at the clock.
const BATCH: usize = 64 << 10;

pub(super) const ENTRY: Entry = Entry {
    name: "memcpy",
    about: "floor: one process that copies a message once, from cache to cache",
    takes_part: |task| task.work == Work::OneWay,
    refuses: |_| None,
    play,
    clean_up: |_| (),
};

fn play(seat: &Seat, task: &Task) -> Result<Figures> {
    seat.ready()?;
    if seat.role == Role::Sender {
        return Ok(Vec::new());
    }
    let mut stamper = Stamper::new(task.size, 0);
    let mut message = stamper.stamp(Phase::WarmUp).to_vec();
    let mut stamper = Stamper::new(task.size, 0);
    let batch = (BATCH / task.size.max(1)).max(1);
    let mut done = 0;
    let mut phase = Phase::WarmUp;
    let begin = Instant::now();
    receive_stream(task, |checker| {
        if done % batch == 0 {
            phase = match begin.elapsed() {
                it if it < task.warm_up => Phase::WarmUp,
                it if it < task.warm_up + task.time => Phase::Measured,
                _ => Phase::Last,
            };
        }
        done += 1;
        black_box(&mut message).copy_from_slice(stamper.stamp(phase));
        checker.check_from(&message)
    })
}

//! The controller is killed: how long the next join takes, and the next first contact. They begin
//! at the same time, with the kill.

use super::{About, Figures, Task, meet};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Offer, Peer, Role, Seat},
};
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

const JOIN: &str = "join ms";
const CONTACT: &str = "first contact ms";

pub(super) const ABOUT: About = About {
    name: "failover",
    title: "failover: the controller is killed; from then to a join, and to an answer at first contact",
    crews: &[(2, 1)],
    quick_crews: &[(2, 1)],
    headline: JOIN,
    details: &[CONTACT],
    needs: Some(Offer::Failover),
    // It may be slow.
    least_time: Duration::from_secs(10),
    ..About::BASE
};

/// What is not answered then is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// The receiver that is killed: the first on the bus.
pub(super) const VICTIM: usize = 0;

pub(super) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    match seat.role {
        Role::Sender => fail_over::<P>(seat, task),
        Role::Receiver if seat.index == VICTIM => {
            fs::write(place(seat), getpid().as_raw_nonzero().to_string())?;
            let _peer = meet::<P>(seat)?;
            loop {
                thread::park();
            }
        }
        Role::Receiver => {
            // If nothing comes to be sent back, nobody is to wait for it.
            let (seat, size) = (seat.clone(), task.size);
            thread::spawn(move || P::connect(&seat)?.echo(&mut Checker::new(size, 1)));
            Ok(Vec::new())
        }
    }
}

fn fail_over<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let (answered, answer) = channel();
    let (go, wait) = channel();
    let (own, size) = (seat.clone(), task.size);
    // It may wait for ever.
    thread::spawn(move || answered.send(contact::<P>(&own, size, &wait)));
    seat.wait_for_all()?;
    let victim = fs::read_to_string(place(seat))?.parse()?;
    let victim = Pid::from_raw(victim).ok_or("the controller has no process")?;

    let start = Instant::now();
    kill_process(victim, Signal::KILL)?;
    go.send(start)?;
    let newcomer = P::connect(&seat.once_more())?;
    let mut figures = vec![(JOIN, in_ms(start.elapsed()))];
    std::mem::forget(newcomer);
    if let Ok(time) = answer.recv_timeout(PATIENCE) {
        figures.push((CONTACT, in_ms(time?)));
    }
    Ok(figures)
}

/// Joins, waits until the controller is killed, writes to the survivor, and tells how long it took
/// to get an answer.
fn contact<P: Peer>(seat: &Seat, size: usize, killed: &Receiver<Instant>) -> Result<Duration> {
    let mut peer = P::connect(seat)?;
    let start = killed.recv()?;
    peer.send(Stamper::new(size, 0).stamp(Phase::Last))?;
    Checker::new(size, 1).check(peer.receive()?.as_ref())?;
    let time = start.elapsed();
    std::mem::forget(peer);
    Ok(time)
}

fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Where the one to be killed says who it is.
fn place(seat: &Seat) -> PathBuf {
    seat.directory.join("victim")
}

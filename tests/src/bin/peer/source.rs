//! `source NUMBER SINKS COUNT REST`: sends numbered messages to each sink, at least COUNT and
//! until it is told to stop; every so often one to all at once, and every so often it rests for
//! REST milliseconds. First it fills the lanes.

use super::{Job, hear, say};
use ipmb::{BytesMessage, EndpointSender, Message, Selector, SendError, label};
use ipmb_tests::traffic;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// So often a message goes to all sinks in one call.
const MULTICAST_EVERY: u64 = 16;
/// So many messages are sent to each sink between two rests.
const BURST: u64 = 8;

type Sender = EndpointSender<BytesMessage>;

pub(super) fn run(job: &Job) {
    let (me, sinks, count): (u16, u16, u64) = (job.number(0), job.number(1), job.number(2));
    let options = job
        .options(label!("source"))
        .with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<BytesMessage, ()>(options, None).expect("joins");
    say("joined");
    let to: Vec<Selector> = (0..sinks)
        .map(|sink| Selector::unicast(format!("sink{sink}")))
        .collect();
    let mut number = fill(&sender, me, &to);
    let stop = stop_when_told();
    let rest = Duration::from_millis(job.number(3));
    while number < count || !stop.load(Ordering::Relaxed) {
        if number.is_multiple_of(MULTICAST_EVERY) {
            send(
                &sender,
                Selector::multicast("sink"),
                traffic::message(me, number),
            );
        } else {
            for selector in &to {
                send(&sender, selector.clone(), traffic::message(me, number));
            }
        }
        number += 1;
        if number.is_multiple_of(BURST) && !rest.is_zero() {
            thread::sleep(rest);
        }
    }
    send(
        &sender,
        Selector::multicast("sink"),
        traffic::last(me, number),
    );
    say(format_args!("sent {number}"));
    while hear().is_some() {}
}

/// Sends until a sink that does not read yet has no room, and says so. Returns the next number.
fn fill(sender: &Sender, me: u16, to: &[Selector]) -> u64 {
    let mut full = false;
    let mut number = 0;
    while !full {
        for selector in to {
            let message = Message::new(selector.clone(), traffic::message(me, number));
            // The first message makes contact, for which `try_send` does not wait.
            if full || number == 0 {
                sender.send(message).expect("sends");
            } else if let Err(error) = sender.try_send(message) {
                assert!(matches!(error.reason, SendError::WouldBlock), "{error}");
                full = true;
                say("full");
                sender.send(error.message).expect("sends");
            }
        }
        number += 1;
    }
    number
}

fn send(sender: &Sender, selector: Selector, payload: BytesMessage) {
    sender.send(Message::new(selector, payload)).expect("sends");
}

fn stop_when_told() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            hear();
            stop.store(true, Ordering::Relaxed);
        }
    });
    stop
}

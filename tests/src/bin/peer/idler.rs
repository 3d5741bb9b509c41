//! `idler COUNT WAY`: several endpoints with the label `idler`, which wait for messages: `recv` in
//! a call of that name, `poll` in an event loop, `hold` not at all. It is told:
//!
//! * `talk LABEL COUNT TTL`: each sends so many to one with the label; says `talked`;
//! * `shout COUNT`: each sends so many to all idlers; says `shouted`;
//! * `fill LABEL`: the first sends to one with the label until it has to wait; says `waits` while
//!   it does;
//! * `count`: says how many messages they have received.

use super::{Job, hear, say};
use ipmb::{
    BytesMessage, EndpointReceiver, EndpointSender, Message, Selector, TrySendError, label,
};
use ipmb_tests::traffic;
use rustix::event::{PollFd, PollFlags, poll};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

static RECEIVED: AtomicU64 = AtomicU64::new(0);

pub(super) fn run(job: &Job) {
    let mut senders = Vec::new();
    let mut held = Vec::new();
    for _ in 0..job.number(0) {
        let options = job.options(label!("idler", job.argument(1)));
        let options = options.with_inbox_budget(64 << 10);
        let (sender, receiver) = ipmb::join(options, None).expect("joins");
        senders.push(sender);
        match job.argument(1) {
            "recv" => drop(thread::spawn(|| receive(receiver))),
            "poll" => drop(thread::spawn(|| watch(receiver))),
            _ => held.push(receiver),
        }
    }
    say("joined");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().expect("a number");
        match words[..] {
            ["talk", label, count, ttl] => {
                let mut selector = Selector::unicast(label);
                selector.ttl = Duration::from_millis(number(ttl));
                talk(&senders, &selector, number(count));
                say("talked");
            }
            ["shout", count] => {
                talk(&senders, &Selector::multicast("idler"), number(count));
                say("shouted");
            }
            ["fill", label] => fill(&senders[0], label),
            ["count"] => say(RECEIVED.load(Ordering::Relaxed)),
            _ => panic!("what is {line:?}?"),
        }
    }
}

fn receive(receiver: EndpointReceiver<BytesMessage>) {
    while receiver.recv(None).is_ok() {
        RECEIVED.fetch_add(1, Ordering::Relaxed);
    }
}

fn watch(receiver: EndpointReceiver<BytesMessage>) {
    loop {
        poll(&mut [PollFd::new(&receiver, PollFlags::IN)], None).expect("polls");
        while receiver.try_recv().expect("receives").is_some() {
            RECEIVED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn talk(senders: &[EndpointSender<BytesMessage>], selector: &Selector, count: u64) {
    for sender in senders {
        for _ in 0..count {
            let message = Message::new(selector.clone(), traffic::large(100));
            sender.send(message).expect("sends");
        }
    }
}

fn fill(sender: &EndpointSender<BytesMessage>, label: &str) {
    let mut message = Message::new(Selector::unicast(label), traffic::large(1000));
    loop {
        match sender.send_timeout(message, Duration::from_millis(100)) {
            Ok(()) => message = Message::new(Selector::unicast(label), traffic::large(1000)),
            Err(TrySendError { message: back, .. }) => {
                message = back;
                break;
            }
        }
    }
    let sender = sender.clone();
    thread::spawn(move || sender.send(message));
    say("waits");
}

//! `parker NUMBER`: sends numbered messages that may have to wait. It is told:
//!
//! * `send LABEL COUNT TTL`: so many, to one with the label; says `sent TOTAL`.
//! * `stream LABEL TTL`: as many as it can until it is told `stop`, and then the last one; says
//!   `begun` after the first one, and `stopped`.
//! * `large LABEL BYTES TTL`: one of that size, without a number; says `sent`.
//!
//! The numbers of each label start at 0. The ttl is in milliseconds.

use super::{Job, hear, say};
use ipmb::{BytesMessage, EndpointSender, Message, Selector, label};
use ipmb_tests::traffic;
use std::{
    collections::HashMap,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

struct Parker {
    me: u16,
    sender: EndpointSender<BytesMessage>,
    /// By label, how many it was sent.
    sent: HashMap<String, u64>,
}

pub(super) fn run(job: &Job) {
    let options = job
        .options(label!("parker"))
        .with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<BytesMessage, ()>(options, None).expect("joins");
    let mut parker = Parker {
        me: job.number(0),
        sender,
        sent: HashMap::new(),
    };
    say("joined");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["send", label, count, ttl] => {
                (0..number(count)).for_each(|_| parker.send(label, ttl));
                say(format_args!("sent {}", parker.sent[label]));
            }
            ["stream", label, ttl] => {
                parker.stream(label, ttl);
                say("stopped");
            }
            ["large", label, bytes, ttl] => {
                parker.send_payload(label, ttl, traffic::large(number(bytes)));
                say("sent");
            }
            _ => panic!("what is {line:?}?"),
        }
    }
}

impl Parker {
    fn stream(&mut self, label: &str, ttl: &str) {
        let stop = AtomicBool::new(false);
        self.send(label, ttl);
        say("begun");
        thread::scope(|scope| {
            scope.spawn(|| {
                hear();
                stop.store(true, Ordering::Relaxed);
            });
            while !stop.load(Ordering::Relaxed) {
                self.send(label, ttl);
            }
        });
        let last = traffic::last(self.me, self.sent[label]);
        self.send_payload(label, ttl, last);
    }

    fn send(&mut self, label: &str, ttl: &str) {
        let sent = self.sent.entry(label.to_owned()).or_default();
        let payload = traffic::message(self.me, *sent);
        *sent += 1;
        self.send_payload(label, ttl, payload);
    }

    fn send_payload(&self, label: &str, ttl: &str, payload: BytesMessage) {
        let mut selector = Selector::unicast(label);
        selector.ttl = Duration::from_millis(number(ttl));
        self.sender
            .send(Message::new(selector, payload))
            .expect("sends");
    }
}

fn number<N: FromStr>(word: &str) -> N {
    let number = word.parse().ok();
    number.unwrap_or_else(|| panic!("{word} is no number"))
}

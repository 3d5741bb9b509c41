//! `listener LABEL…`: prints what it receives. Told `deaf`, it drops its receiver; told
//! `one LABEL TEXT` or `all LABEL TEXT`, it sends to one or to all that have the label.
//! `loner LABEL…` is the same, but is never the controller.

use super::{Job, hear, say};
use ipmb::{EndpointReceiver, Label, Message, RecvError, Selector};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How soon it is deaf when told so.
const ATTENTION: Duration = Duration::from_millis(10);

pub(super) fn run(job: &Job, affinity: bool) {
    let options = job
        .options(Label::from(job.arguments.iter()))
        .with_controller_affinity(affinity);
    let (sender, receiver) = ipmb::join::<String, String>(options, None).expect("joins");
    say("joined");
    let deaf = Arc::new(AtomicBool::new(false));
    let mut listening = Some(thread::spawn({
        let deaf = Arc::clone(&deaf);
        move || listen(receiver, &deaf)
    }));
    while let Some(line) = hear() {
        if line == "deaf" {
            stop(&deaf, listening.take());
            say("deaf");
        } else {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let (selector, text) = match words[..] {
                ["one", label, text] => (Selector::unicast(label), text),
                ["all", label, text] => (Selector::multicast(label), text),
                _ => panic!("what is {line:?}?"),
            };
            sender
                .send(Message::new(selector, text.to_owned()))
                .expect("sends");
            say("said");
        }
    }
    stop(&deaf, listening);
}

fn stop(deaf: &AtomicBool, listening: Option<JoinHandle<()>>) {
    deaf.store(true, Ordering::Relaxed);
    if let Some(listening) = listening {
        listening.join().expect("it ends well");
    }
}

fn listen(receiver: EndpointReceiver<String>, deaf: &AtomicBool) {
    while !deaf.load(Ordering::Relaxed) {
        match receiver.recv(Some(ATTENTION)) {
            Ok(message) => say(message.payload),
            Err(RecvError::Timeout) => {}
            Err(error) => {
                say(format_args!("cannot receive: {error}"));
                return;
            }
        }
    }
}

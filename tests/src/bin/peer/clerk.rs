//! `clerk LABEL`: answers requests, and is never the controller. It is asked:
//!
//! * `echo TEXT`: replies TEXT;
//! * `keep TEXT`: says `kept TEXT`, and does not reply yet;
//! * `chat COUNT BYTES`: sends so many messages to who has the label `test`, each its number
//!   and filled up to that size, and then replies `done`;
//! * `return`: replies with what was attached to the request.
//!
//! It is told:
//!
//! * `answer TEXT`: replies TEXT to all that was kept; says `answered`;
//! * `twice TEXT`: the same, two times;
//! * `forge TEXT`: the same, but by another endpoint;
//! * `deaf`: drops its receiver; says `deaf`.

use super::{Job, hear, say};
use ipmb::{EndpointReceiver, EndpointSender, Message, RecvError, ReplyTo, Selector, label};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How soon it is deaf when told so.
const ATTENTION: Duration = Duration::from_millis(10);

static KEPT: Mutex<Vec<ReplyTo>> = Mutex::new(Vec::new());
static DEAF: AtomicBool = AtomicBool::new(false);

pub(super) fn run(job: &Job) {
    let join = |label| {
        let options = job.options(label).with_controller_affinity(false);
        ipmb::join::<String, String>(options, None).expect("joins")
    };
    let (sender, receiver) = join(label!(job.argument(0)));
    say("joined");
    let clerk = sender.clone();
    let mut serving = Some(thread::spawn(move || serve(&clerk, receiver)));
    while let Some(line) = hear() {
        match line.split_once(' ') {
            Some(("answer", text)) => {
                answer(&sender, text, 1);
                say("answered");
            }
            Some(("twice", text)) => {
                answer(&sender, text, 2);
                say("answered");
            }
            Some(("forge", text)) => {
                let (other, _receiver) = join(label!());
                for to in &*KEPT.lock().expect("no panic") {
                    other.reply(*to, text.to_owned()).expect("replies");
                }
                say("forged");
            }
            None if line == "deaf" => {
                DEAF.store(true, Ordering::Relaxed);
                if let Some(serving) = serving.take() {
                    serving.join().expect("it ends well");
                }
                say("deaf");
            }
            _ => panic!("what is {line:?}?"),
        }
    }
}

fn answer(sender: &EndpointSender<String>, text: &str, times: usize) {
    for to in KEPT.lock().expect("no panic").drain(..) {
        for _ in 0..times {
            sender.reply(to, text.to_owned()).expect("replies");
        }
    }
}

fn serve(sender: &EndpointSender<String>, receiver: EndpointReceiver<String>) {
    while !DEAF.load(Ordering::Relaxed) {
        match receiver.recv(Some(ATTENTION)) {
            Ok(request) => handle(sender, request),
            Err(RecvError::Timeout) => {}
            Err(error) => panic!("cannot receive: {error}"),
        }
    }
}

fn handle(sender: &EndpointSender<String>, request: Message<String>) {
    let to = request.reply_to().expect("it is a request");
    let words: Vec<&str> = request.payload.split(' ').collect();
    match words[..] {
        ["echo", text] => sender.reply(to, text.to_owned()).expect("replies"),
        ["keep", text] => {
            KEPT.lock().expect("no panic").push(to);
            say(format_args!("kept {text}"));
        }
        ["chat", count, bytes] => {
            let number = |word: &str| word.parse::<usize>().expect("a number");
            for it in 0..number(count) {
                let text = format!("{it:0>width$}", width = number(bytes));
                let message = Message::new(Selector::unicast("test"), text);
                sender.send(message).expect("sends");
            }
            sender.reply(to, "done".to_owned()).expect("replies");
        }
        ["return"] => {
            let mut reply = Message::reply(to, "returned".to_owned());
            reply.objects = request.objects;
            reply.memory_regions = request.memory_regions;
            sender.send(reply).expect("replies");
        }
        _ => panic!("what is {:?}?", request.payload),
    }
}

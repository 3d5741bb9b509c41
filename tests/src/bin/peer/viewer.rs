//! `viewer LABEL OVERFLOW`: looks at bytes that were sent to it, and keeps them until told otherwise.
//!
//! * `recv`: receives bytes, keeps them, and prints length, first and last byte, and whether they
//!   are `shared` or a `copy`; or `poor` if there are no descriptors for them;
//! * `count N`: receives N messages, one after the other, dropping each, and prints `counted`;
//! * `try_recv`: as `recv`, or `nothing`;
//! * `look`: prints the first byte of the oldest that it keeps, and how many it keeps;
//! * `drop`: drops the oldest that it keeps; `clear`: drops all;
//! * `deafen`: drops the receiver;
//! * `poor N`: has N free descriptors from now on; `rich`: has enough again.
//!
//! A picture is received as its pixels; a word is no picture, and is skipped.

use super::{Job, hear, say};
use ipmb::{Bytes, EndpointReceiver, MessageBox, Overflow, RecvError, label};
use ipmb_tests::{DEADLINE, Picture};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{collections::VecDeque, fs::File, time::Duration};

/// So many descriptors it has at most when it is to have few.
const MOST: u64 = 128;

#[derive(MessageBox)]
enum Sight {
    Bytes(Bytes),
    Picture(Picture),
}

pub(super) fn run(job: &Job) {
    let overflow = match job.argument(1) {
        "block" => Overflow::Block,
        "newest" => Overflow::DropNewest,
        "oldest" => Overflow::DropOldest,
        other => panic!("there is no overflow {other}"),
    };
    let options = job.options(label!(job.argument(0))).with_overflow(overflow);
    let (_sender, receiver) = ipmb::join::<(), Sight>(options, Some(DEADLINE)).expect("joins");
    let mut receiver = Some(receiver);
    say("joined");
    let mut kept = VecDeque::new();
    let mut ballast = Vec::new();
    while let Some(line) = hear() {
        let (command, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number: usize = number.parse().expect("a number");
        match command {
            "recv" => look(receiver.as_ref(), DEADLINE, &mut kept),
            "try_recv" => look(receiver.as_ref(), Duration::ZERO, &mut kept),
            "count" => {
                let receiver = receiver.as_ref().expect("is not deaf");
                for _ in 0..number {
                    let _ = receiver.recv(Some(DEADLINE)).expect("a message");
                }
                say("counted");
            }
            "look" => {
                let first: &Bytes = kept.front().expect("one is kept");
                say(format_args!("{} {}", first[0], kept.len()));
            }
            "drop" => {
                kept.pop_front().expect("one is kept");
                say("dropped");
            }
            "clear" => {
                kept.clear();
                say("cleared");
            }
            "deafen" => {
                receiver = None;
                say("deaf");
            }
            "poor" => {
                let most = Some(MOST);
                let limit = Rlimit {
                    current: most,
                    maximum: most,
                };
                setrlimit(Resource::Nofile, limit).expect("it is less than before");
                while let Ok(null) = File::open("/dev/null") {
                    ballast.push(null);
                }
                ballast.truncate(ballast.len() - number);
                say("poor");
            }
            "rich" => {
                ballast.clear();
                say("rich");
            }
            other => panic!("cannot {other}"),
        }
    }
}

fn look(
    receiver: Option<&EndpointReceiver<Sight>>,
    patience: Duration,
    kept: &mut VecDeque<Bytes>,
) {
    let message = match receiver.expect("is not deaf").recv(Some(patience)) {
        Ok(message) => message,
        Err(RecvError::Timeout) => return say("nothing"),
        Err(RecvError::Resources(_)) => return say("poor"),
        Err(error) => return say(format_args!("{error:?}")),
    };
    let bytes = match message.payload {
        Sight::Bytes(bytes) => bytes,
        Sight::Picture(picture) => {
            assert_eq!(picture.note, *b"private");
            assert_eq!(
                picture.pixels.len(),
                (picture.width * picture.height) as usize
            );
            picture.pixels
        }
    };
    let (first, last) = (bytes.first().copied(), bytes.last().copied());
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    let shared = if bytes.is_shared() { "shared" } else { "copy" };
    say(format_args!("{} {first} {last} {shared}", bytes.len()));
    kept.push_back(bytes);
}

//! `attachments LABEL`: sends and receives objects and memory regions as it is told.
//!
//! * `send TO OBJECTS REGIONS BYTES TTL TIMEOUT` (times in milliseconds): `sent`, or why not and
//!   what came back;
//! * `lie TO OBJECTS REGIONS`: as `send`, but what the receiver takes for text is none;
//! * `stray TO OBJECTS REGIONS`: as `send`, of a type that the receiver does not know;
//! * `recv`: looks at the next message and drops it, or says why there is none;
//! * `try_recv`: the same, but does not wait;
//! * `deafen`: drops the receiver.
//!
//! Object number *n* is a memory file that contains *n*, region number *n* begins with *n*.

use super::{Job, hear, say};
use ipmb::{
    EndpointReceiver, EndpointSender, Error, MemoryRegion, Message, MessageBox, Object, RecvError,
    Selector, TypeUuid, label,
};
use ipmb_tests::DEADLINE;
use serde::{Deserialize, Serialize};
use std::{os::fd::OwnedFd, time::Duration};

#[derive(Serialize, Deserialize, TypeUuid)]
#[uuid = "3b9ac1f5-7be9-4f6e-8a10-6a7a1a2c8c01"]
struct Text(String);

/// Bytes that pretend to be of a type.
struct Pretence([u8; 16], Vec<u8>);

impl MessageBox for Pretence {
    fn decode(_: [u8; 16], _: &[u8]) -> Result<Self, Error> {
        Err(Error::TypeUuidNotFound)
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(self.1.clone())
    }

    fn uuid(&self) -> [u8; 16] {
        self.0
    }
}

pub(super) fn run(job: &Job) {
    super::raise_descriptor_limit();
    let options = job
        .options(label!(job.argument(0)))
        .with_inbox_budget(64 << 10);
    let (sender, receiver) = ipmb::join::<Pretence, Text>(options, Some(DEADLINE)).expect("joins");
    let mut receiver = Some(receiver);
    say("joined");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        match words[0] {
            "send" => send(
                &sender,
                Selector::unicast(words[1]),
                text(number(4)),
                [number(2), number(3)],
                [number(5), number(6)],
            ),
            "lie" => send(
                &sender,
                Selector::unicast(words[1]),
                Pretence(Text::UUID, vec![1, 0xff]),
                [number(2), number(3)],
                [0, 5000],
            ),
            "stray" => send(
                &sender,
                Selector::unicast(words[1]),
                Pretence(*b"nobody knows it.", vec![]),
                [number(2), number(3)],
                [0, 5000],
            ),
            "recv" => receive(receiver.as_ref().expect("is not deaf"), DEADLINE),
            "try_recv" => receive(receiver.as_ref().expect("is not deaf"), Duration::ZERO),
            "deafen" => {
                receiver = None;
                say("deaf");
            }
            other => panic!("cannot {other}"),
        }
    }
}

fn send(
    sender: &EndpointSender<Pretence>,
    mut selector: Selector,
    payload: Pretence,
    [objects, regions]: [u64; 2],
    [ttl, timeout]: [u64; 2],
) {
    selector.ttl = Duration::from_millis(ttl);
    let mut message = Message::new(selector, payload);
    message.objects = (0..objects).map(object).collect();
    message.memory_regions = (0..regions).map(region).collect();
    match sender.send_timeout(message, Duration::from_millis(timeout)) {
        Ok(()) => say("sent"),
        Err(error) => say(format_args!(
            "{:?}, {} objects and {} regions came back",
            error.reason,
            error.message.objects.len(),
            error.message.memory_regions.len(),
        )),
    }
}

fn receive(receiver: &EndpointReceiver<Text>, patience: Duration) {
    let message = match receiver.recv(Some(patience)) {
        Ok(message) => message,
        Err(RecvError::Timeout) => return say("nothing"),
        Err(RecvError::Decode(_)) => return say("no text"),
        Err(error) => return say(format_args!("{error:?}")),
    };
    let (objects, regions) = (message.objects.len(), message.memory_regions.len());
    for (n, object) in message.objects.into_iter().enumerate() {
        let mut content = [0; 8];
        rustix::io::pread(OwnedFd::from(object), &mut content, 0).expect("a file");
        assert_eq!(u64::from_le_bytes(content), n as u64, "the objects' order");
    }
    for (n, mut region) in message.memory_regions.into_iter().enumerate() {
        let content = region.map(..8).expect("a region of eight bytes or more");
        assert_eq!(content, n.to_le_bytes(), "the regions' order");
    }
    let bytes = message.payload.0.len();
    say(format_args!(
        "{objects} objects, {regions} regions, {bytes} bytes"
    ));
}

fn text(length: u64) -> Pretence {
    let text = Text("x".repeat(length as usize));
    Pretence(Text::UUID, text.encode().expect("a text is encoded"))
}

fn object(n: u64) -> Object {
    let file = rustix::fs::memfd_create("object", rustix::fs::MemfdFlags::CLOEXEC);
    let file = file.expect("a free descriptor");
    rustix::io::write(&file, &n.to_le_bytes()).expect("memory");
    file.into()
}

fn region(n: u64) -> MemoryRegion {
    let mut region = MemoryRegion::try_new(100).expect("memory");
    let content = region.map(..8).expect("eight bytes");
    content.copy_from_slice(&n.to_le_bytes());
    region
}

//! `poor LABEL`: joins when it is told to, with what it is told to have too little of.
//!
//! * `join IDENTIFIER TOKEN LIMIT`: the identifier in hexadecimal digits, the limit of a message.
//! * `user UID`: is that user from now on.
//! * `no descriptors`, `descriptors`, `no memory`, `memory`.
//! * `meet LABEL`: makes first contact. `send LABEL BYTES OBJECTS`, `recv`, `region SIZE`.

use super::{Job, hear, say};
use ipmb::{
    BytesMessage, EndpointReceiver, EndpointSender, MemoryRegion, Message, Object, Options,
    Selector, label,
};
use ipmb_tests::DEADLINE;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fmt::Debug, fs::File, os::fd::OwnedFd, time::Duration};

/// So many descriptors a poor process may have.
const FEW: u64 = 128;
/// What is left of the address space when there is no more memory.
const LITTLE: u64 = 1 << 20;
/// A message that was made while there was memory.
const LARGE: usize = 64 << 20;

type Endpoint = (EndpointSender<BytesMessage>, EndpointReceiver<BytesMessage>);

pub(super) fn run(job: &Job) {
    let mut endpoint: Option<Endpoint> = None;
    let mut ballast: Vec<OwnedFd> = Vec::new();
    let mut large = Some(vec![0; LARGE]);
    let pipe = rustix::pipe::pipe().expect("a free descriptor").0;
    let mut objects: Vec<Object> = (0..8)
        .map(|_| pipe.try_clone().expect("a free descriptor").into())
        .collect();
    say("ready");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["user", uid] => {
                let uid = rustix::process::Uid::from_raw(uid.parse().expect("a number"));
                rustix::thread::set_thread_uid(uid).expect("root may");
                say("user");
            }
            ["no", "descriptors"] => {
                limit(Resource::Nofile, Some(FEW));
                while let Ok(null) = File::open("/dev/null") {
                    ballast.push(null.into());
                }
                say("none");
            }
            ["descriptors"] => {
                ballast.clear();
                say("some");
            }
            ["no", "memory"] => {
                limit(Resource::As, Some(address_space() + LITTLE));
                say("none");
            }
            ["memory"] => {
                limit(Resource::As, None);
                say("some");
            }
            ["join", identifier, token, message_limit] => {
                let options = options(job, identifier, token)
                    .with_message_limit(message_limit.parse().expect("a number"));
                let joined = ipmb::join(options, Some(DEADLINE));
                report(joined.map(|joined| endpoint = Some(joined)));
            }
            ["region", size] => {
                report(MemoryRegion::try_new(size.parse().expect("a number")).map(drop));
            }
            ["recv"] => {
                let received = receiver(&endpoint).recv(Some(Duration::from_secs(5)));
                report(received.map(|message| {
                    let (bytes, objects) = (message.payload.data.len(), message.objects.len());
                    format!("{bytes} bytes, {objects} objects")
                }));
            }
            ["large", label] => {
                let data = large.take().expect("one large message");
                report(send(&endpoint, label, data, Vec::new(), &mut large));
            }
            ["send", label, bytes, count] => {
                let data = vec![0; bytes.parse().expect("a number")];
                let objects = objects.split_off(objects.len() - number(count));
                report(send(&endpoint, label, data, objects, &mut None));
            }
            _ => panic!("what does {line:?} mean?"),
        }
    }
}

fn options(job: &Job, identifier: &str, token: &str) -> Options {
    let digits = identifier.as_bytes().chunks(2);
    let bytes = digits.map(|pair| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).expect("digits")
    });
    let identifier = String::from_utf8(bytes.collect()).expect("a text");
    Options::new(identifier, label!(job.argument(0)), token).with_runtime_directory(&job.directory)
}

/// A message that was not sent has to come back whole.
fn send(
    endpoint: &Option<Endpoint>,
    label: &str,
    data: Vec<u8>,
    objects: Vec<Object>,
    back: &mut Option<Vec<u8>>,
) -> Result<(), ipmb::SendError> {
    let (bytes, count) = (data.len(), objects.len());
    let mut message = Message::new(Selector::unicast(label), BytesMessage { format: 0, data });
    message.objects = objects;
    let sender = &endpoint.as_ref().expect("it has joined").0;
    sender
        .send_timeout(message, Duration::from_secs(5))
        .map_err(|error| {
            assert_eq!(error.message.payload.data.len(), bytes);
            assert_eq!(error.message.objects.len(), count);
            assert_eq!(error.delivered, 0);
            *back = Some(error.message.payload.data);
            error.reason
        })
}

fn receiver(endpoint: &Option<Endpoint>) -> &EndpointReceiver<BytesMessage> {
    &endpoint.as_ref().expect("it has joined").1
}

fn report<T: Debug, E: Debug>(result: Result<T, E>) {
    match result {
        Ok(value) => say(format_args!("Ok({value:?})")),
        Err(error) => say(format_args!("Err({error:?})")),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn limit(resource: Resource, current: Option<u64>) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current, maximum }).expect("less is granted");
}

/// In bytes.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("it lives");
    let pages = status.split(' ').next().expect("the total");
    let pages: u64 = pages.parse().expect("a number");
    pages * rustix::param::page_size() as u64
}

//! `guest SCOPE LABEL TOKEN AFFINITY`: joins when it is told to, in the scope `user` or `system`, and
//! exchanges all that can be exchanged. A directory `-` is the default one. It is told:
//!
//! * `join MILLISECONDS`, `leave`.
//! * `text LABEL TEXT`, `object LABEL TEXT`, `region LABEL TEXT`, `loan LABEL TEXT`: sends the text, in
//!   these ways.
//! * `ask LABEL TEXT`: requests, and says what comes back.
//! * `hear`: says what comes, and replies to requests.

use super::{Job, hear, say};
use ipmb::{
    Bytes, EndpointReceiver, EndpointSender, Label, MemoryRegion, Message, MessageBox, Object,
    Options, Scope, Selector,
};
use ipmb_tests::{DEADLINE, bad};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    time::Duration,
};

#[derive(MessageBox)]
enum Speech {
    Text(String),
    Lent(Bytes),
}

type Endpoint = (EndpointSender<Speech>, EndpointReceiver<Speech>);
type Outcome = Result<String, Box<dyn std::error::Error>>;

pub(super) fn run(job: &Job) {
    let mut endpoint: Option<Endpoint> = None;
    say("ready");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words.as_slice() {
            ["join", patience] => {
                let patience = Duration::from_millis(patience.parse().expect("a number"));
                match ipmb::join(options(job), Some(patience)) {
                    Ok(joined) => {
                        endpoint = Some(joined);
                        say("joined");
                    }
                    Err(error) => say(format_args!("{error:?}: {error}")),
                }
            }
            ["leave"] => {
                endpoint = None;
                say("left");
            }
            words => {
                let endpoint = endpoint.as_ref().expect("it has joined");
                match act(endpoint, words) {
                    Ok(text) => say(text),
                    Err(error) => say(format_args!("{error:?}: {error}")),
                }
            }
        }
    }
}

fn options(job: &Job) -> Options {
    let label = Label::from([job.argument(1)]);
    let options = Options::new(bad::IDENTIFIER, label, job.argument(2))
        .with_controller_affinity(job.argument(3) == "yes");
    let options = match job.argument(0) {
        "system" => options.with_scope(Scope::System),
        _ => options,
    };
    match job.directory.to_str() {
        Some("-") => options,
        _ => options.with_runtime_directory(&job.directory),
    }
}

fn act((sender, receiver): &Endpoint, words: &[&str]) -> Outcome {
    let to = |label| Selector::unicast(label);
    let text = |text: &str| Speech::Text(text.to_owned());
    match *words {
        ["text", label, it] => {
            sender.send(Message::new(to(label), text(it)))?;
            Ok("sent".to_owned())
        }
        ["object", label, it] => {
            let (reader, mut writer) = std::io::pipe()?;
            writer.write_all(it.as_bytes())?;
            let mut message = Message::new(to(label), text(""));
            message.objects.push(Object::from(OwnedFd::from(reader)));
            sender.send(message)?;
            Ok("sent".to_owned())
        }
        ["region", label, it] => {
            let mut region = MemoryRegion::try_new(it.len())?;
            region.map(..it.len())?.copy_from_slice(it.as_bytes());
            let mut message = Message::new(to(label), text(""));
            message.memory_regions.push(region);
            sender.send(message)?;
            Ok("sent".to_owned())
        }
        ["loan", label, it] => {
            let mut loan = sender.loan(it.len())?;
            loan.copy_from_slice(it.as_bytes());
            sender.send(Message::new(to(label), Speech::Lent(loan.freeze())))?;
            Ok("sent".to_owned())
        }
        ["ask", label, it] => {
            let mut pending = sender.request(Message::new(to(label), text(it)))?;
            let reply = pending.wait::<String>(Some(DEADLINE))?;
            Ok(format!("reply {}", reply.payload))
        }
        ["hear"] => {
            let message = receiver.recv(Some(DEADLINE))?;
            if let Some(asker) = message.reply_to() {
                sender.reply(asker, text("of course"))?;
            }
            describe(message)
        }
        _ => panic!("what does {words:?} mean?"),
    }
}

fn describe(mut message: Message<Speech>) -> Outcome {
    let mut what = match message.payload {
        Speech::Text(text) => format!("text {text}"),
        Speech::Lent(bytes) if bytes.is_shared() => {
            format!("lent {}", String::from_utf8_lossy(&bytes))
        }
        Speech::Lent(bytes) => format!("copied {}", String::from_utf8_lossy(&bytes)),
    };
    if let Some(object) = message.objects.pop() {
        let mut text = String::new();
        File::from(OwnedFd::from(object)).read_to_string(&mut text)?;
        what = format!("object {text}");
    }
    if let Some(region) = message.memory_regions.first_mut() {
        let bytes = region.map(..)?;
        what = format!("region {}", String::from_utf8_lossy(bytes));
    }
    Ok(what)
}

//! Messages are typed: plain types, your own, several at once, and raw bytes.
//!
//! `cargo run --example message_types`

use ipmb::{BytesMessage, Message, MessageBox, Options, RecvError, Selector, TypeUuid, label};
use serde::{Deserialize, Serialize};
use std::{error::Error, time::Duration};

/// A message type is anything that serde knows, with a UUID by which others know it. Take a new
/// random one for each type; where two programs use the same UUID, they mean the same type.
#[derive(Debug, PartialEq, Serialize, Deserialize, TypeUuid)]
#[uuid = "99da69a9-8a97-4c93-926d-12546a479fb3"]
struct Position {
    x: f64,
    y: f64,
}

/// Several types: one variant each. Programs need not agree on this enum, only on the types.
#[derive(Debug, PartialEq, MessageBox)]
enum Everything {
    Position(Position),
    Text(String),
    Bytes(BytesMessage),
}

fn main() -> Result<(), Box<dyn Error>> {
    // A bus of our own, so that the examples can run side by side. A program leaves it out.
    let directory = tempfile::tempdir()?;
    let options = |label| {
        Options::new("com.example.types", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };

    // The types are those that `join` is told: what is sent, and what is received. This endpoint
    // sends anything, and receives nothing.
    let (sender, _) = ipmb::join::<Everything, ()>(options(label!()), None)?;
    // This one receives anything.
    let (_, all) = ipmb::join::<(), Everything>(options(label!("all")), None)?;
    // This one is interested in positions only.
    let (_, positions) = ipmb::join::<(), Position>(options(label!("positions")), None)?;

    let to_both = || Selector::multicast(ipmb::LabelOp::from("all").or("positions"));
    let bytes = BytesMessage {
        format: 7, // what the bytes are, in numbers of your own
        data: vec![1, 2, 3],
    };
    for payload in [
        Everything::Text("hello".to_string()),
        Everything::Bytes(bytes),
        Everything::Position(Position { x: 1.0, y: 2.0 }),
    ] {
        sender.send(Message::new(to_both(), payload))?;
    }

    for _ in 0..3 {
        match all.recv(None)?.payload {
            Everything::Position(position) => println!("all: {position:?}"),
            Everything::Text(text) => println!("all: text {text:?}"),
            Everything::Bytes(bytes) => println!("all: {} bytes", bytes.data.len()),
        }
    }

    // Types that a receiver does not know are skipped, and counted.
    println!("positions: {:?}", positions.recv(None)?.payload);
    assert_eq!(positions.statistics().skipped, 2);
    println!("positions: 2 messages of other types were skipped");

    // Bytes that are not what they say are an error, once; the next `recv` goes on.
    let (liar, _) = ipmb::join::<Liar, ()>(options(label!()), None)?;
    liar.send(Message::new(to_both(), Liar))?;
    match positions.recv(Some(Duration::from_secs(10))) {
        Err(RecvError::Decode(why)) => println!("positions: no position after all: {why}"),
        other => return Err(format!("expected an error, got {other:?}").into()),
    }
    Ok(())
}

/// A message box written by hand, for payloads with an encoding of their own. This one claims to
/// be a `Position`.
struct Liar;

impl MessageBox for Liar {
    fn decode(_: [u8; 16], _: &[u8]) -> Result<Self, ipmb::Error> {
        Err(ipmb::Error::TypeUuidNotFound)
    }

    fn encode(&self) -> Result<Vec<u8>, ipmb::Error> {
        Ok(vec![1, 2, 3])
    }

    fn uuid(&self) -> [u8; 16] {
        Position::UUID
    }
}

//! Whom a message is for: labels, boolean expressions over them, one or all, now or later.
//!
//! `cargo run --example selectors`

use ipmb::{EndpointReceiver, LabelOp, Message, Options, Selector, label};
use std::{error::Error, time::Duration};

const END: &str = "end";

fn main() -> Result<(), Box<dyn Error>> {
    // A bus of our own, so that the examples can run side by side. A program leaves it out.
    let directory = tempfile::tempdir()?;
    let options = |label| {
        Options::new("com.example.selectors", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };

    // A label is a set of words. Any endpoint may carry any of them.
    let (sender, _) = ipmb::join::<String, ()>(options(label!("studio")), None)?;
    let (_, left) = ipmb::join::<(), String>(options(label!("camera", "left")), None)?;
    let (_, right) = ipmb::join::<(), String>(options(label!("camera", "right")), None)?;
    let (_, microphone) = ipmb::join::<(), String>(options(label!("microphone")), None)?;

    let cameras = || LabelOp::from("camera");
    for (what, selector) in [
        // To one: of those that match, the one that joined first.
        ("one camera", Selector::unicast("camera")),
        // To all that match.
        ("cameras", Selector::multicast("camera")),
        (
            "not left",
            Selector::multicast(cameras().and(!LabelOp::from("left"))),
        ),
        (
            "right or microphone",
            Selector::multicast(LabelOp::from("right").or("microphone")),
        ),
        ("everybody", Selector::multicast(LabelOp::True)),
        // Nobody matches, and the message has no time to live: it is dropped, and that is no error.
        ("nobody", Selector::multicast("lamp")),
        (END, Selector::multicast(LabelOp::True)),
    ] {
        sender.send(Message::new(selector, what.to_string()))?;
    }
    assert_eq!(
        all(&left)?,
        ["one camera", "cameras", "everybody"],
        "the left camera joined first"
    );
    assert_eq!(
        all(&right)?,
        ["cameras", "not left", "right or microphone", "everybody"]
    );
    assert_eq!(all(&microphone)?, ["right or microphone", "everybody"]);
    println!("each endpoint has got what its label matches, in the order sent");

    // With a time to live, a message that matches nobody waits for the first that does.
    let mut selector = Selector::unicast("lamp");
    selector.ttl = Duration::from_secs(60);
    sender.send(Message::new(selector, "light!".to_string()))?;
    let (_, lamp) = ipmb::join::<(), String>(options(label!("lamp")), None)?;
    println!("the lamp, late, got: {}", lamp.recv(None)?.payload);
    Ok(())
}

/// What a receiver gets before the end. Messages of one sender arrive in the order sent, so that
/// nothing can be on its way any more when the end is there.
fn all(receiver: &EndpointReceiver<String>) -> Result<Vec<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    loop {
        match receiver.recv(Some(Duration::from_secs(10)))?.payload {
            text if text == END => return Ok(texts),
            text => texts.push(text),
        }
    }
}

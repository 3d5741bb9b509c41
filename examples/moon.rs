//! One of two programs that talk: run `earth` in another terminal, before this one or after.
//!
//! `cargo run --example moon`

use ipmb::{Message, Options, Selector, label};
use std::{error::Error, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::new("com.example.earth-and-moon", label!("moon"), "");
    let (sender, receiver) = ipmb::join::<String, String>(options, None)?;
    println!("the moon is on the bus; now run earth");

    for number in 1..=3 {
        let mut selector = Selector::unicast("earth");
        // If earth is not there yet, the message waits for it, up to a minute.
        selector.ttl = Duration::from_secs(60);
        sender.send(Message::new(selector, format!("hello {number}")))?;

        let answer = receiver.recv(Some(Duration::from_secs(60)))?;
        println!("earth says: {}", answer.payload);
    }
    Ok(())
}

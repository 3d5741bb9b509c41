//! One of two programs that talk: run `moon` in another terminal, before this one or after.
//!
//! `cargo run --example earth`

use ipmb::{Message, Options, Selector, label};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    // The name of the bus, who we are on it, and the secret of the bus (none here). Whoever joins
    // first makes the bus; there is no server to start.
    let options = Options::new("com.example.earth-and-moon", label!("earth"), "");
    let (sender, receiver) = ipmb::join::<String, String>(options, None)?;
    println!("earth is on the bus; now run moon");

    for _ in 0..3 {
        let message = receiver.recv(None)?;
        println!("the moon says: {}", message.payload);

        let answer = format!("I have heard \"{}\"", message.payload);
        sender.send(Message::new(Selector::unicast("moon"), answer))?;
    }
    Ok(())
}

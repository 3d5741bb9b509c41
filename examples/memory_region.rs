//! Shared memory travels with messages: the receiver sees the same bytes, and nothing is copied.
//!
//! `cargo run --example memory_region`

use ipmb::{MemoryRegion, Message, Options, Selector, label};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    // A bus of our own, so that the examples can run side by side. A program leaves it out.
    let directory = tempfile::tempdir()?;
    let options = |label| {
        Options::new("com.example.region", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };
    let (sender, _) = ipmb::join::<String, ()>(options(label!("camera")), None)?;
    let (_, receiver) = ipmb::join::<(), String>(options(label!("screen")), None)?;

    // 8 MiB of zeroes. `try_new` would say at once if there is no such memory, `map` does here.
    let mut frame = MemoryRegion::new(8 << 20);
    frame.map(..5)?.copy_from_slice(b"pixel");

    // A clone is one more holder of the same memory, not a copy of it.
    let mut message = Message::new(Selector::unicast("screen"), "a frame".to_string());
    message.memory_regions.push(frame.clone()?);
    sender.send(message)?;
    println!("{} holders while it travels", frame.ref_count());

    let mut message = receiver.recv(None)?;
    let received = message.memory_regions.first_mut().ok_or("no region")?;
    println!("{} holders when it has arrived", received.ref_count());
    // Whoever holds a region can write to it, whenever they like. Copy what has to stay as it is.
    let copy = received.map(..5)?.to_vec();
    println!("the screen reads: {}", String::from_utf8(copy)?);
    received.map(..5)?.copy_from_slice(b"shown");
    println!("the camera reads: {}", frame.map(..5)?.escape_ascii());

    drop(message);
    println!("{} holder at the end", frame.ref_count());
    Ok(())
}

//! Kernel objects travel with messages: whoever receives a file descriptor can use it.
//!
//! `cargo run --example object`

use ipmb::{Message, Object, Options, Selector, label};
use std::{
    error::Error,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
};

fn main() -> Result<(), Box<dyn Error>> {
    // A bus of our own, so that the examples can run side by side. A program leaves it out.
    let directory = tempfile::tempdir()?;
    let options = |label| {
        Options::new("com.example.object", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };
    let (sender, _) = ipmb::join::<String, ()>(options(label!("shell")), None)?;
    let (_, receiver) = ipmb::join::<(), String>(options(label!("printer")), None)?;

    // Files, pipes, sockets, memory, devices: any descriptor is an `Object`.
    let (mut reader, writer) = io::pipe()?;
    let mut message = Message::new(Selector::unicast("printer"), "write here".to_string());
    message.objects.push(Object::from(OwnedFd::from(writer)));
    // The message owns its objects. They are closed here once it has been sent, or could not be.
    sender.send(message)?;

    let mut message = receiver.recv(None)?;
    println!("received \"{}\" and a pipe", message.payload);
    let pipe = message.objects.pop().ok_or("the object is missing")?;
    let mut pipe = File::from(OwnedFd::from(pipe));
    pipe.write_all(b"hello through the pipe")?;
    // The other side reads to the end: no copy of the writing end is left open anywhere.
    drop(pipe);

    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    println!("the pipe says: {text}");
    Ok(())
}

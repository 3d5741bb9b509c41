//! The bus in an event loop: wait for messages and for other things at once.
//!
//! `cargo run --example event_loop`

use ipmb::{Message, Options, Selector, label};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    error::Error,
    io::{self, Read, Write},
    thread,
};

fn main() -> Result<(), Box<dyn Error>> {
    // A bus of our own, so that the examples can run side by side. A program leaves it out.
    let directory = tempfile::tempdir()?;
    let options = |label| {
        Options::new("com.example.loop", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };
    let (_, receiver) = ipmb::join::<(), String>(options(label!("window")), None)?;
    let (sender, _) = ipmb::join::<String, ()>(options(label!("worker")), None)?;
    let (mut keyboard, mut keys) = io::pipe()?;

    // Somebody sends messages and presses keys.
    let somebody = thread::spawn(move || -> Result<(), String> {
        for number in 1..=3 {
            let message = Message::new(Selector::unicast("window"), format!("message {number}"));
            sender.send(message).map_err(|error| error.to_string())?;
            keys.write_all(b"k").map_err(|error| error.to_string())?;
        }
        Ok(())
    });

    let (mut messages, mut pressed) = (0, 0);
    while messages < 3 || pressed < 3 {
        // The receiver is a descriptor (`AsFd`) that polls readable while a message waits; so it
        // fits into epoll, async runtimes and the loops of GUIs as well.
        let mut fds = [
            PollFd::new(&receiver, PollFlags::IN),
            PollFd::new(&keyboard, PollFlags::IN),
        ];
        let limit = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        if poll(&mut fds, Some(&limit))? == 0 {
            return Err("nothing happened for 10 seconds".into());
        }
        let [bus, key] = fds.map(|fd| !fd.revents().is_empty());

        // Take what is there, without waiting. Do not read from the descriptor itself.
        if bus {
            while let Some(message) = receiver.try_recv()? {
                println!("received: {}", message.payload);
                messages += 1;
            }
        }
        if key {
            let mut buffer = [0; 16];
            let count = keyboard.read(&mut buffer)?;
            println!("{count} keys pressed");
            pressed += count;
        }
    }
    somebody.join().map_err(|_| "somebody panicked")??;
    Ok(())
}

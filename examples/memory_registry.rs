//! A pool of shared memory: frames are used again as soon as nobody holds them any more.
//!
//! `cargo run --example memory_registry`

use ipmb::{MemoryRegistry, Message, Options, Selector, label};
use std::{cell::Cell, error::Error, rc::Rc};

const FRAME: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    // A bus of our own, so that the examples can run side by side. A program leaves it out.
    let directory = tempfile::tempdir()?;
    let options = |label| {
        Options::new("com.example.registry", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };
    let (sender, _) = ipmb::join::<u32, ()>(options(label!("camera")), None)?;
    let (_, receiver) = ipmb::join::<(), u32>(options(label!("screen")), None)?;

    let mut registry = MemoryRegistry::default();
    let mut places = std::collections::BTreeSet::new();
    for number in 0..100u32 {
        // A free region with this tag, or a new one. It has whatever content was left in it.
        let mut frame = registry.alloc(FRAME, Some("frames"));
        let bytes = frame.map(..FRAME)?;
        bytes.fill(number as u8);
        places.insert(bytes.as_ptr());

        let mut message = Message::new(Selector::unicast("screen"), number);
        message.memory_regions.push(frame);
        sender.send(message)?;

        // The receiver drops the frame when it is done with it, and so hands it back.
        let mut message = receiver.recv(None)?;
        let frame = message.memory_regions.first_mut().ok_or("no frame")?;
        assert_eq!(frame.map(..1)?[0], message.payload as u8);
    }
    println!("100 frames in the memory of {}", places.len());

    // To be told when nobody holds a region any more, give `alloc` something to run.
    let freed = Rc::new(Cell::new(false));
    let told = Rc::clone(&freed);
    let frame = registry.alloc_with_free(FRAME, Some("other"), move || told.set(true));
    registry.maintain();
    assert!(!freed.get(), "we hold it");
    drop(frame);
    registry.maintain(); // also gives back what has not been used for some seconds
    assert!(freed.get());
    println!("a region was freed, and its `free` has run");
    Ok(())
}

//! An ordinary member that writes over all that it has mapped, while it sends and receives. It may
//! not survive that; then another takes its place.

use super::Scene;
use crate::say;
use ipmb::{BytesMessage, MemoryRegion, Message, Selector, label};
use ipmb_tests::{options, raw::Failure};
use std::{
    fs, process,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

const LIFE: Duration = Duration::from_millis(300);

pub fn run(scene: &mut Scene) -> Result<(), Failure> {
    if std::env::var_os("IPMB_SCRIBBLER").is_some() {
        return scribble(scene);
    }
    while scene.goes_on() {
        let seed = scene.dice.roll().to_string();
        let mut child = process::Command::new(std::env::current_exe()?)
            .args(["attack".as_ref(), scene.directory.as_os_str()])
            .args(["member: scribbles over all it has mapped", &seed])
            .arg(LIFE.as_millis().to_string())
            .env("IPMB_SCRIBBLER", "1")
            .stdout(process::Stdio::null())
            .stderr(process::Stdio::null())
            .spawn()?;
        say(format_args!("pid {}", child.id()));
        scene.tried += 1;
        let end = Instant::now() + 4 * LIFE;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(())
}

fn scribble(scene: &mut Scene) -> Result<(), Failure> {
    let options = options(&scene.directory, label!("attacker")).with_controller_affinity(false);
    let (sender, receiver) = ipmb::join::<BytesMessage, BytesMessage>(options, None)?;
    let message = || {
        let mut message = Message::new(
            Selector::unicast(ipmb::LabelOp::from("alpha")),
            BytesMessage {
                format: crate::member::NOISE,
                data: vec![3; 500],
            },
        );
        message.memory_regions.push(MemoryRegion::new(5000));
        message
    };
    sender.send(message())?;
    let mut dice = scene.dice.clone();
    thread::spawn(move || {
        loop {
            for (start, len) in mappings() {
                for _ in 0..200 {
                    // The words at the beginning more often than the rest.
                    let most = if dice.below(2) == 0 {
                        1024.min(len)
                    } else {
                        len
                    };
                    let at = start + dice.below(most as u64) as usize;
                    // SAFETY: it is mapped for writing, unless the other threads have just unmapped
                    // it: then this process ends, which is nothing to anybody else.
                    let byte = unsafe { AtomicU8::from_ptr(at as *mut u8) };
                    byte.store(dice.roll() as u8, Relaxed);
                }
            }
        }
    });
    while scene.goes_on() {
        let _ = sender.try_send(message());
        let _ = receiver.try_recv();
    }
    Ok(())
}

/// What is shared with others and can be written: where, and how long.
fn mappings() -> Vec<(usize, usize)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let shared = maps.lines().filter(|line| line.contains("memfd:"));
    shared
        .filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let start = usize::from_str_radix(start, 16).ok()?;
            let end = usize::from_str_radix(end, 16).ok()?;
            rest.starts_with("rw").then_some((start, end - start))
        })
        .collect()
}

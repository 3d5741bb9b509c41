//! What each process does. It prints lines: `joined`, and then what it sees.

use super::{
    cast::PATIENCE,
    system::{New, OLD, Old, Seat, System},
};
use crate::Result;
use rustix::process::{Signal, set_parent_process_death_signal};
use std::{
    fs,
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};

pub(super) const TOKEN: &str = "4b7e-the-token-of-the-scene-91d2";
/// How long a receiver does not read, and others are watched meanwhile.
pub(super) const STALL: Duration = Duration::from_secs(3);
const PACE: Duration = Duration::from_micros(200);

pub(super) fn play(arguments: &[String]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let [system, part, place, rest @ ..] = arguments else {
        return Err("that is for the program itself".into());
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match system.as_str() {
        OLD => act::<Old>(part, Path::new(place), &rest),
        _ => act::<New>(part, Path::new(place), &rest),
    }
}

fn act<S: System>(part: &str, place: &Path, arguments: &[&str]) -> Result<()> {
    let number = |index: usize| arguments.get(index).and_then(|it| it.parse::<usize>().ok());
    let join = |label, affinity| {
        let seat = Seat {
            place,
            label,
            token: match part {
                "impostor" => "another token",
                _ => TOKEN,
            },
            affinity,
            patience: PATIENCE,
        };
        let start = Instant::now();
        let joined = S::join(&seat);
        match &joined {
            Ok(_) => println!("joined {}", start.elapsed().as_millis()),
            Err(error) => println!("refused {error}"),
        }
        joined
    };
    match part {
        // The controller, who hears what comes.
        "host" => {
            let (sender, receiver) = join("host", true)?;
            hear::<S>(receiver);
            linger(sender);
        }
        // Somebody else who does.
        "guest" => {
            let (sender, receiver) = join("guest", false)?;
            hear::<S>(receiver);
            linger(sender);
        }
        // One who comes late, and may be the controller.
        "late" => {
            let (sender, receiver) = join("late", true)?;
            hear::<S>(receiver);
            S::send(&sender, "host", vec![1], Vec::new(), Duration::ZERO)?;
            linger(sender);
        }
        "impostor" => linger(join("impostor", false)?),
        // Sends to the label: bytes, objects, seconds to live. First a message that arrives.
        "sender" => {
            let (sender, receiver) = join("sender", arguments.get(4) == Some(&"host"))?;
            hear::<S>(receiver);
            let to = arguments.first().copied().unwrap_or_default();
            let (bytes, objects) = (number(1).unwrap_or(0), number(2).unwrap_or(0));
            let ttl = Duration::from_secs(number(3).unwrap_or(0) as u64);
            if ttl.is_zero() {
                say_hello::<S>(&sender, to)?;
            }
            let objects = (0..objects).map(|_| fs::File::open("/dev/null").map(OwnedFd::from));
            let objects = objects.collect::<std::io::Result<_>>()?;
            println!("sending");
            let sent = S::send(&sender, to, vec![7; bytes], objects, ttl);
            match sent {
                Ok(()) => println!("sent"),
                Err(error) => println!("error {error}"),
            }
            linger(sender);
        }
        // The controller; sends to one who does not read as much as he can, and to another now and then.
        "talker" => {
            let (sender, _receiver) = join("talker", true)?;
            while !place.join("guest.joined").exists() || !place.join("deaf.joined").exists() {
                thread::sleep(Duration::from_millis(1));
            }
            let flood = sender.clone();
            thread::spawn(move || {
                while S::send(&flood, "deaf", vec![0; 8192], Vec::new(), Duration::ZERO).is_ok() {
                    thread::sleep(PACE);
                }
            });
            while S::send(&sender, "listener", vec![0; 64], Vec::new(), Duration::ZERO).is_ok() {
                thread::sleep(PACE);
            }
        }
        "deaf" => {
            let endpoint = join("deaf", false)?;
            fs::write(place.join("deaf.joined"), "")?;
            linger(endpoint);
        }
        "listener" => {
            let (_sender, mut receiver) = join("listener", false)?;
            fs::write(place.join("guest.joined"), "")?;
            let (start, mut last) = (Instant::now(), Instant::now());
            let mut longest = Duration::ZERO;
            while start.elapsed() < STALL {
                let heard = S::receive(&mut receiver, STALL.saturating_sub(start.elapsed()));
                longest = longest.max(last.elapsed());
                if heard.is_ok() {
                    last = Instant::now();
                }
            }
            println!("silence {}", longest.as_millis());
        }
        part => return Err(format!("there is no {part}").into()),
    }
    Ok(())
}

/// Until it arrives: a message that says nothing.
fn say_hello<S: System>(sender: &S::Sender, to: &str) -> Result<()> {
    S::send(sender, to, vec![0; 8], Vec::new(), Duration::ZERO)
}

/// Says what comes, and how many descriptors there are then.
fn hear<S: System>(mut receiver: S::Receiver) {
    thread::spawn(move || {
        loop {
            match S::receive(&mut receiver, Duration::from_millis(200)) {
                Ok(received) => println!("got {} {}", received.bytes, received.objects),
                Err(_) => println!("descriptors {}", descriptors()),
            }
        }
    });
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, |listed| listed.count())
}

/// Keeps something until it is killed.
fn linger<T>(endpoint: T) {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    drop(endpoint);
}

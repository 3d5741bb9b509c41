//! What is done, and what is made of what is seen.

use super::{
    Seen,
    cast::{Actor, PATIENCE, Stage},
    parts::{STALL, TOKEN},
    system::address,
};
use crate::Result;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketType, sockopt};
use std::{os::fd::OwnedFd, time::Duration};

pub(super) struct Scene {
    pub(super) about: &'static str,
    pub(super) play: fn(&'static str) -> Result<Seen>,
    /// Whether it is to be left alone.
    pub(super) measures: bool,
}

pub(super) const ALL: [Scene; 8] = [
    Scene {
        about: "1 MiB is sent to the controller's process",
        play: large_to_host,
        measures: false,
    },
    Scene {
        about: "1 MiB is sent by the controller's process",
        play: large_from_host,
        measures: false,
    },
    Scene {
        about: "a message with 5 descriptors",
        play: five_objects,
        measures: false,
    },
    Scene {
        about: "one receiver does not read for 3 s, another one does",
        play: stalled,
        measures: true,
    },
    Scene {
        about: "36 bytes from somebody without the token",
        play: garbage,
        measures: false,
    },
    Scene {
        about: "the controller is killed while a message is parked",
        play: parked,
        measures: false,
    },
    Scene {
        about: "a wrong token",
        play: wrong_token,
        measures: false,
    },
    Scene {
        about: "somebody listens in the name of the bus",
        play: squatter,
        measures: false,
    },
];

const LARGE: usize = 1 << 20;

fn large_to_host(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    let host = stage.joined("host", &[])?;
    let sender = stage.joined("sender", &["host", &LARGE.to_string(), "0"])?;
    large(&host, &sender)
}

fn large_from_host(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    // A message with a time to live waits for the guest, small or large: so no hello is needed.
    let sender = stage.joined("sender", &["guest", &LARGE.to_string(), "0", "60", "host"])?;
    let guest = stage.joined("guest", &[])?;
    large(&guest, &sender)
}

fn large(receiver: &Actor, sender: &Actor) -> Result<Seen> {
    sender.says("sending", PATIENCE).ok_or("nothing was sent")?;
    let sent = sender.says("sent", PATIENCE).is_some();
    let arrived = receiver.says(&format!("got {LARGE}"), PATIENCE).is_some();
    Ok(match (sent, arrived) {
        (true, true) => Seen::good("arrives"),
        (true, false) => Seen::bad("`send` is `Ok`, and it is lost"),
        (false, true) => Seen::bad("arrives, and `send` does not return"),
        (false, false) => Seen::bad("`send` does not return; nothing arrives"),
    })
}

fn five_objects(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    let host = stage.joined("host", &[])?;
    let sender = stage.joined("sender", &["host", "100", "0"])?;
    host.says("got 100", PATIENCE).ok_or("the first was lost")?;
    let count = || {
        let _ = host.says("descriptors", PATIENCE);
        let text = host.says("descriptors", PATIENCE).unwrap_or_default();
        text.parse::<usize>().map_err(|_| "it says nothing")
    };
    let before = count()?;
    let five = stage.joined("sender", &["host", "500", "5"])?;
    let sent = five.says("sent", PATIENCE).is_some();
    let got = host.says("got 500", Duration::from_secs(2));
    drop(five);
    // Until who has gone is forgotten.
    let mut left = count()?;
    for _ in 0..10 {
        left = left.min(count()?);
    }
    drop(sender);
    let leaked = left.saturating_sub(before);
    let leaks = match leaked {
        0 => String::new(),
        leaked => format!(", {leaked} descriptors are leaked"),
    };
    let sends = if sent {
        "`send` is `Ok`"
    } else {
        "`send` does not return"
    };
    Ok(match got.as_deref() {
        Some("5") if leaked == 0 && sent => Seen::good("arrives with all of them"),
        Some(some) => Seen::bad(format!("{some} arrive{leaks}")),
        None => Seen::bad(format!("{sends}, it is lost{leaks}")),
    })
}

fn stalled(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    let talker = stage.joined("talker", &[])?;
    let deaf = stage.joined("deaf", &[])?;
    let listener = stage.joined("listener", &[])?;
    let silence = listener.says("silence", STALL + PATIENCE);
    drop((talker, deaf));
    let silence: u128 = silence.ok_or("the listener said nothing")?.parse()?;
    let what = format!("the other one hears nothing for {silence} ms");
    // A bystander on a busy machine may have to wait for a processor.
    Ok(match silence * 3 < STALL.as_millis() {
        true => Seen::good(what),
        false => Seen::bad(what),
    })
}

fn garbage(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    let mut host = stage.joined("host", &[])?;
    let socket = connect(system, &stage)?;
    net::send(&socket, &thirty_six_bytes(), SendFlags::NOSIGNAL)?;
    // Something was made of them when it hangs up, or has gone.
    let patience = Some(PATIENCE);
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, patience)?;
    let _ = net::recv(&socket, &mut [0_u8; 16][..], RecvFlags::empty());
    let late = stage.start("late", &[])?;
    let joined = late.says("joined", PATIENCE + PATIENCE);
    let heard = host.says("got 1", PATIENCE).is_some();
    let panicked = match host.has_panicked() {
        true => "the controller panics",
        false => "the controller goes on",
    };
    Ok(match (joined, heard) {
        (Some(time), true) => Seen::good(format!("{panicked}; the next one joins in {time} ms")),
        (Some(_), false) => Seen::bad(format!("{panicked}; who joins then does not reach it")),
        (None, _) => Seen::bad(format!("{panicked}; nobody can join")),
    })
}

fn parked(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    let mut host = stage.joined("host", &[])?;
    let sender = stage.joined("sender", &["late", "300", "0", "60", "host"])?;
    sender.says("sent", PATIENCE).ok_or("it was not sent")?;
    host.kill();
    let late = stage.joined("late", &[])?;
    let arrived = late.says("got 300", PATIENCE).is_some();
    Ok(match arrived {
        true => Seen::good("it arrives"),
        false => Seen::bad("it is lost"),
    })
}

fn wrong_token(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    let _host = stage.joined("host", &[])?;
    let impostor = stage.start("impostor", &[])?;
    let refused = impostor.says("refused", PATIENCE + PATIENCE);
    Ok(match refused {
        Some(why) => Seen::good(format!("refused: {why}")),
        None => Seen::bad("let in"),
    })
}

fn squatter(system: &'static str) -> Result<Seen> {
    let stage = Stage::new(system)?;
    // So that the names are known.
    stage.joined("host", &[])?;
    let address = address(system, stage.place())?;
    let listener = socket()?;
    if let Some(path) = address.path() {
        let _ = std::fs::remove_file(std::path::Path::new(path.to_str()?));
    }
    net::bind(&listener, &address)?;
    net::listen(&listener, 8)?;
    let victim = stage.start("guest", &[])?;
    let caller = net::accept(&listener)?;
    sockopt::set_socket_timeout(&caller, sockopt::Timeout::Recv, Some(PATIENCE))?;
    let mut said = vec![0; 64 << 10];
    let (length, _) = net::recv(&caller, &mut said[..], RecvFlags::empty())?;
    let token = TOKEN.as_bytes();
    let learned = said[..length].windows(token.len()).any(|it| it == token);
    drop(victim);
    Ok(match learned {
        true => Seen::bad("is told the token by whoever joins"),
        false => Seen::good("learns nothing of the token"),
    })
}

/// What 0.8.5 takes for a message with one memory region more than it has objects.
fn thirty_six_bytes() -> Vec<u8> {
    let version = [0xff, 0, 8, 5];
    let mut selector = vec![0; 24];
    // The label is "true", the mode unicast, the type all zeros: then one memory region, and no time.
    selector[18] = 1;
    [&version[..], &21_u32.to_ne_bytes(), &selector, &[0; 4]].concat()
}

fn connect(system: &str, stage: &Stage) -> Result<OwnedFd> {
    let socket = socket()?;
    net::connect(&socket, &address(system, stage.place())?)?;
    Ok(socket)
}

fn socket() -> Result<OwnedFd> {
    Ok(net::socket(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        None,
    )?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_thirty_six_bytes() {
        assert_eq!(super::thirty_six_bytes().len(), 36);
    }
}

//! The scope `System`, while somebody without the token answers in the name of the bus. Mallory's socket
//! is asked before Alice's and Bob's.

use super::{PATIENCE, TOKEN, assert_starts, guest, joined, socket_of};
use ipmb_tests::{
    Bus, Peer, bad,
    users::{self, ALICE, BOB, MALLORY},
};
use std::{
    fs,
    os::unix::net::UnixListener,
    time::{Duration, Instant},
};

/// What a squatter costs who joins, on a busy machine. He would cost 2 s, or for ever.
const DELAY: Duration = Duration::from_millis(1900);

/// With a squatter there: somebody makes the bus, somebody joins it, and both talk; the same with who takes
/// over. A wrong token is still said to be one.
fn goes_on(bus: &Bus, mut wrong: impl FnMut() -> String) {
    let mut alice = joined(bus, ALICE, "system", "alice");
    let start = Instant::now();
    let mut bob = joined(bus, BOB, "system", "bob");
    let took = start.elapsed();
    assert!(took < DELAY, "{took:?}");
    assert_eq!(alice.ask("text bob hello"), "sent");
    assert_eq!(bob.ask("hear"), "text hello");
    assert_starts(&wrong(), "TokenMismatch: ");
    alice.kill();
    let mut alice = joined(bus, ALICE, "system", "alice");
    assert_eq!(alice.ask("text bob again"), "sent");
    assert_eq!(bob.ask("hear"), "text again");
}

fn squatted(how: &str) {
    let bus = Bus::new();
    users::share(&bus);
    let squatter = users::peer(MALLORY, "squatter", &bus.path(), &[how, "system"]);
    squatter.expect("serving");
    goes_on(&bus, || wrong(&bus));
}

fn wrong(bus: &Bus) -> String {
    guest(bus, 65532, "system", "wrong", "wrong").ask(PATIENCE)
}

#[test]
fn g11_a_squatter_who_never_answers_is_passed_over() {
    if users::are_there("a_squatter_who_never_answers_is_passed_over") {
        squatted("silent");
    }
}

#[test]
fn g11_a_squatter_who_talks_nonsense_is_passed_over() {
    if users::are_there("a_squatter_who_talks_nonsense_is_passed_over") {
        squatted("garbage");
    }
}

#[test]
fn g11_a_squatter_who_refuses_everybody_is_passed_over() {
    if users::are_there("a_squatter_who_refuses_everybody_is_passed_over") {
        squatted("old");
        squatted("tokenless");
    }
}

#[test]
fn g11_a_squatter_who_is_always_busy_is_passed_over() {
    if !users::are_there("a_squatter_who_is_always_busy_is_passed_over") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let _squatter = users::peer(MALLORY, "squatter", &bus.path(), &["busy", "system"]);
    _squatter.expect("serving");
    goes_on(&bus, || wrong(&bus));
}

#[test]
fn g11_what_only_looks_like_a_socket_is_passed_over() {
    if !users::are_there("what_only_looks_like_a_socket_is_passed_over") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let socket = socket_of(&bus, MALLORY);
    let service = bus.path().with_extension("service");
    let _service = bad::serve(&service);
    // A link to the socket of some service of root.
    std::os::unix::fs::symlink(&service, &socket).unwrap();
    users::give(&socket, MALLORY);
    goes_on(&bus, || wrong(&bus));
    fs::remove_file(&socket).unwrap();
    let _stream = UnixListener::bind(&socket).unwrap();
    users::give(&socket, MALLORY);
    users::chmod(&socket, 0o666);
    goes_on(&bus, || wrong(&bus));
    // The name of one user, in the hands of another.
    let theirs = socket_of(&bus, 7);
    let _stream = bad::serve(&theirs);
    users::give(&theirs, MALLORY);
    users::chmod(&theirs, 0o666);
    goes_on(&bus, || wrong(&bus));
}

#[test]
fn g11_a_squatter_who_passes_on_what_is_said_is_found_out() {
    if !users::are_there("a_squatter_who_passes_on_what_is_said_is_found_out") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let mut alice = joined(&bus, ALICE, "system", "alice");
    let (real, fake) = (socket_of(&bus, ALICE), socket_of(&bus, MALLORY));
    let arguments = [real.to_str().unwrap(), fake.to_str().unwrap()];
    let relay = users::peer(MALLORY, "relay", &bus.path(), &arguments);
    relay.expect("serving");
    let mut bob = joined(&bus, BOB, "system", "bob");
    // A hello and a challenge went through Mallory's hands, and nothing after that.
    let secret = ipmb_tests::memory::Secret::of(TOKEN);
    for _ in 0..2 {
        let packet = relay.line();
        assert_eq!(secret.in_text(&packet), Default::default());
        assert!(packet.starts_with("69706d62"), "{packet}");
    }
    assert_eq!(alice.ask("object bob hello"), "sent");
    assert_eq!(bob.ask("hear"), "object hello");
    drop::<Peer>(relay);
}

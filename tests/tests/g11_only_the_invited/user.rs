//! The scope `User`: there is no way in for other users, and nobody gets between two processes of one.

use super::{PATIENCE, TOKEN, assert_starts, guest, joined, lock};
use ipmb::{JoinError, label};
use ipmb_core::{Credential, Doorkeeper, DoorkeeperStep, Greeter, GreeterStep};
use ipmb_tests::{
    Bus, DEADLINE, Peer, bad,
    memory::{Found, Secret},
    proc,
    users::{self, ALICE, BOB},
};
use std::{fs, path::PathBuf};

/// As a user: what comes of reading a file, and of connecting to a socket.
fn try_everything(bus: &Bus, uid: u32) -> Vec<String> {
    let prober = users::peer(uid, "prober", &bus.path(), &[]);
    std::iter::from_fn(|| Some(prober.line()).filter(|line| line != "done")).collect()
}

#[test]
fn g11_another_user_cannot_join_read_or_connect() {
    if !users::are_there("another_user_cannot_join_read_or_connect") {
        return;
    }
    let bus = Bus::new();
    users::make_over(&bus, ALICE);
    let mut alice = joined(&bus, ALICE, "user", "alice");
    // Bob has the token, and it is of no use to him. Nor is being root to root.
    for uid in [BOB, 0] {
        let mut other = guest(&bus, uid, "user", "other", TOKEN);
        assert_starts(&other.ask(PATIENCE), "RuntimeDirectory(");
    }
    let denied = try_everything(&bus, BOB);
    assert!(denied.len() >= 3, "{denied:?}");
    for outcome in denied {
        assert!(
            outcome.ends_with("Permission denied (os error 13)"),
            "{outcome}"
        );
    }
    // Root gets to the socket, and is hung up on.
    let socket = bad::socket(&bus.path(), bad::IDENTIFIER);
    let connection = bad::connect(&socket).unwrap();
    let credential = Credential::new(bad::IDENTIFIER, TOKEN);
    // It may be faster than we are.
    let _ = bad::send(&connection, &Greeter::start(&credential, [1; 32]).1);
    let answer = bad::receive(&connection);
    assert!(!answer.is_ok_and(|it| !it.is_empty()));
    assert_eq!(alice.ask("text alice still here"), "sent");
    assert_eq!(alice.ask("hear"), "text still here");
}

/// A bus with a controller, and somebody between it and whoever joins now.
fn intercepted() -> (Bus, Peer, Peer, PathBuf) {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let socket = bad::socket(&bus.path(), bad::IDENTIFIER);
    let real = socket.with_extension("real");
    fs::rename(&socket, &real).unwrap();
    let arguments = [real.to_str().unwrap(), socket.to_str().unwrap()];
    let relay = bus.peer("relay", &arguments);
    relay.expect("serving");
    (bus, controller, relay, socket)
}

#[test]
fn g11_who_stands_in_between_is_found_out() {
    let (bus, controller, relay, _) = intercepted();
    let options = bus.options(label!("test")).with_controller_affinity(false);
    match ipmb::join::<(), ()>(options.clone(), Some(DEADLINE)) {
        Err(JoinError::Refused(why)) => assert!(why.contains("stands between"), "{why}"),
        other => panic!("{other:?}"),
    }
    let secret = Secret::of("token");
    for _ in 0..2 {
        assert_eq!(secret.in_text(&relay.line()), Found::default());
    }
    drop(relay);
    controller.finish();
}

/// The whole of a handshake, by hand, with a controller that cannot be told from any other.
#[test]
fn g11_nothing_of_the_token_travels() {
    let bus = Bus::new();
    let peer = bus.peer("secretive", &["77", "alice"]);
    peer.expect("joined");
    let (secret, token) = (Secret::new(77), Secret::token(77));
    let credential = Credential::new(bad::IDENTIFIER, &token);
    let connection = bad::connect(&bad::socket(&bus.path(), bad::IDENTIFIER)).unwrap();
    let (mut greeter, hello) = Greeter::start(&credential, [1; 32]);
    bad::send(&connection, &hello).unwrap();
    let challenge = bad::receive(&connection).unwrap();
    let GreeterStep::Send(proof) = greeter.handle(&challenge).unwrap() else {
        panic!("no proof");
    };
    let mut doorkeeper = Doorkeeper::new(&credential, [2; 32]);
    let Ok(DoorkeeperStep::Send(ours)) = doorkeeper.handle(&hello) else {
        panic!("no challenge");
    };
    assert_ne!(ours, challenge, "a nonce is used once");
    for packet in [hello, challenge, proof] {
        assert!(packet.len() >= 42, "{packet:?}");
        assert_eq!(secret.in_bytes(&packet), Found::default());
    }
}

#[test]
fn g11_a_lock_file_that_somebody_holds_is_an_error_in_time() {
    let bus = Bus::new();
    ipmb::join::<(), ()>(bus.options(label!("test")), None).unwrap();
    // Somebody who has the seat and does not serve, marked as if he did.
    let _holder = bus.peer("holder", &[lock(&bus).to_str().unwrap(), "marked"]);
    _holder.expect("holding");
    let result = ipmb::join::<(), ()>(bus.options(label!("test")), None);
    match result {
        Err(JoinError::Obstructed(ipmb::Obstacle::Unserved { path })) => {
            assert_eq!(path, lock(&bus));
        }
        other => panic!("{other:?}"),
    }
    drop(_holder);
    ipmb::join::<(), ()>(bus.options(label!("test")), Some(DEADLINE)).unwrap();
}

#[test]
fn g11_files_that_were_removed_part_nobody() {
    let bus = Bus::new();
    let mut alice = bus.peer("candidate", &[]);
    alice.expect("joined");
    let bob = bus.peer("listener", &["bob"]);
    bob.expect("joined");
    // Also by a cleaner of temporary files.
    fs::remove_dir_all(bus.path()).unwrap();
    alice.kill();
    proc::eventually("Bob has put up a new one", true, || {
        bus.controller() == Some(bob.pid())
    });
    let options = bus.options(label!("test"));
    let (sender, _receiver) = ipmb::join::<String, ()>(options, Some(DEADLINE)).unwrap();
    let hello = ipmb::Message::new(ipmb::Selector::unicast("bob"), "hello".to_owned());
    sender.send(hello).unwrap();
    bob.expect("hello");
}

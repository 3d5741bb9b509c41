//! Where the token is, and the key that is made from it: nowhere but where it has to be.

use super::{PATIENCE, TOKEN, assert_starts};
use ipmb_tests::{
    Bus, Peer, bad,
    memory::{Found, Secret},
};
use std::{fs, path::Path, process::Stdio};

const NOTHING: Found = Found { token: 0, key: 0 };
/// Whoever is on the bus keeps one copy of the key: it may have to serve.
const ONE_KEY: Found = Found { token: 0, key: 1 };

#[track_caller]
fn assert_found(secret: &Secret, peer: &Peer, expected: Found) {
    let (found, places) = secret.in_process(peer.pid());
    assert_eq!(found, expected, "{places:#?}");
}

#[test]
fn g11_the_memory_of_a_process_holds_one_key_and_no_token() {
    let bus = Bus::new();
    let secret = Secret::new(1);
    let mut alice = bus.peer("secretive", &["1", "alice"]);
    alice.expect("joined");
    let mut bob = bus.peer("secretive", &["1", "bob"]);
    bob.expect("joined");
    assert_found(&secret, &alice, ONE_KEY);
    assert_found(&secret, &bob, ONE_KEY);
    // Bob serves, and has let somebody in.
    alice.kill();
    let mut carol = bus.peer("secretive", &["1", "carol"]);
    carol.expect("joined");
    assert_found(&secret, &bob, ONE_KEY);
    for peer in [&mut bob, &mut carol] {
        assert_eq!(peer.ask("leave"), "left");
        assert_found(&secret, peer, NOTHING);
    }
}

#[test]
fn g11_the_memory_of_who_was_refused_holds_nothing_of_any_token() {
    let bus = Bus::new();
    let alice = bus.peer("secretive", &["1", "alice"]);
    alice.expect("joined");
    let mallory = bus.peer("secretive", &["2", "mallory"]);
    mallory.expect("TokenMismatch");
    // Neither that of the bus, which it never had, nor its own.
    assert_found(&Secret::new(1), &mallory, NOTHING);
    assert_found(&Secret::new(2), &mallory, NOTHING);
    assert_found(&Secret::new(2), &alice, NOTHING);
}

/// The search itself finds what is there.
#[test]
fn g11_a_token_that_is_kept_would_be_found() {
    let token = Secret::token(3);
    let secret = Secret::of(&token);
    let (found, _) = secret.in_process(std::process::id());
    assert!(found.token >= 4 && found.key >= 1, "{found:?}");
    assert_eq!(token.len(), 64);
    assert_eq!(secret.in_text(&format!("token={token}")).token, 4);
}

#[test]
fn g11_nothing_of_the_token_is_logged() {
    let bus = Bus::new();
    let logs = tempfile::tempdir().unwrap();
    let start = |label: &str, token: &str| {
        let mut command = Peer::command("guest", &bus.path(), &["user", label, token, "yes"]);
        let log = fs::File::create(logs.path().join(label)).unwrap();
        command.env("IPMB_LOG", "trace").stderr(Stdio::from(log));
        let peer = Peer::spawn(command);
        peer.expect("ready");
        peer
    };
    let wrong = "a-wrong-token-that-is-as-long-as-the-right-one";
    let mut alice = start("alice", TOKEN);
    assert_eq!(alice.ask(PATIENCE), "joined");
    let mut bob = start("bob", TOKEN);
    assert_eq!(bob.ask(PATIENCE), "joined");
    let mut mallory = start("mallory", wrong);
    assert_starts(&mallory.ask(PATIENCE), "TokenMismatch: ");
    let garbage = bad::connect(&bad::socket(&bus.path(), bad::IDENTIFIER)).unwrap();
    bad::send(&garbage, &bad::garbage(&mut 4)).unwrap();
    assert_eq!(alice.ask("object bob hello"), "sent");
    assert_eq!(bob.ask("hear"), "object hello");
    alice.kill();
    let mut carol = start("carol", TOKEN);
    assert_eq!(carol.ask(PATIENCE), "joined");
    assert_eq!(bob.ask("leave"), "left");
    drop((bob, carol, mallory));
    let read = |label: &str| fs::read_to_string(logs.path().join(label)).unwrap();
    let texts = ["alice", "bob", "carol", "mallory"].map(read);
    assert!(texts[0].contains("the controller now"), "{}", texts[0]);
    for text in &texts {
        assert_eq!(Secret::of(TOKEN).in_text(text), NOTHING);
        assert_eq!(Secret::of(wrong).in_text(text), NOTHING);
    }
    // Nor by who prints what he joins with, and what comes of it.
    let options = ipmb::Options::new("com.example.printed", ipmb::label!(), TOKEN)
        .with_runtime_directory(Path::new("nowhere/at/all"));
    let printed = format!("{options:?}");
    let error = ipmb::join::<(), ()>(options, None).unwrap_err();
    let options = bus.options(ipmb::label!("test"));
    let endpoint = ipmb::join::<(), ()>(options, None).err();
    let printed = format!("{printed} {error:?} {error} {endpoint:?}");
    assert_eq!(Secret::of(TOKEN).in_text(&printed), NOTHING);
}

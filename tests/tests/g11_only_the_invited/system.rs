//! The scope `System`, between users who are invited, and one who is not.

use super::{PATIENCE, TOKEN, assert_starts, guest, joined, socket_of};
use ipmb_tests::{
    Bus,
    proc::eventually,
    users::{self, ALICE, BOB, MALLORY},
};

const OTHER: &str = "another-long-and-random-token";

#[test]
fn g11_a_token_is_demanded_and_has_to_be_the_right_one() {
    if !users::are_there("a_token_is_demanded_and_has_to_be_the_right_one") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let mut nobody = guest(&bus, MALLORY, "system", "mallory", "");
    assert_starts(&nobody.ask(PATIENCE), "TokenRequired: ");
    let mut alice = joined(&bus, ALICE, "system", "alice");
    for token in [OTHER, &TOKEN[1..], &format!("{TOKEN}x")] {
        let mut mallory = guest(&bus, MALLORY, "system", "mallory", token);
        assert_starts(&mallory.ask(PATIENCE), "TokenMismatch: ");
    }
    // She was let in nowhere: what is sent to her label is dropped, and nobody hears anything of her.
    assert_eq!(alice.ask("text mallory hello"), "sent");
    assert_eq!(alice.ask("text alice alone"), "sent");
    assert_eq!(alice.ask("hear"), "text alone");
}

#[test]
fn g11_users_exchange_everything() {
    if !users::are_there("users_exchange_everything") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let mut alice = joined(&bus, ALICE, "system", "alice");
    let mut bob = joined(&bus, BOB, "system", "bob");
    let mut root = joined(&bus, 0, "system", "root");
    for (way, heard) in [
        ("text", "text"),
        ("object", "object"),
        ("region", "region"),
        ("loan", "lent"),
    ] {
        for round in 0..3 {
            assert_eq!(alice.ask(&format!("{way} bob {way} {round}")), "sent");
            assert_eq!(bob.ask("hear"), format!("{heard} {way} {round}"));
            assert_eq!(bob.ask(&format!("{way} alice back {round}")), "sent");
            assert_eq!(alice.ask("hear"), format!("{heard} back {round}"));
            assert_eq!(root.ask(&format!("{way} bob root {round}")), "sent");
            assert_eq!(bob.ask("hear"), format!("{heard} root {round}"));
        }
    }
    bob.tell("ask alice may I?");
    assert_eq!(alice.ask("hear"), "text may I?");
    bob.expect("reply of course");
}

#[test]
fn g11_one_users_controller_takes_over_from_anothers() {
    if !users::are_there("one_users_controller_takes_over_from_anothers") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let mut alice = joined(&bus, ALICE, "system", "alice");
    let mut bob = joined(&bus, BOB, "system", "bob");
    let mut carol = joined(&bus, 65532, "system", "carol");
    assert_eq!(bob.ask("text carol before"), "sent");
    assert_eq!(carol.ask("hear"), "text before");
    for round in 0..3 {
        assert!(socket_of(&bus, ALICE).exists());
        alice.kill();
        // Who of the two it is, is not to be known beforehand.
        let mut mallory = guest(&bus, MALLORY, "system", "mallory", OTHER);
        assert_starts(&mallory.ask(PATIENCE), "TokenMismatch: ");
        assert!(socket_of(&bus, BOB).exists() || socket_of(&bus, 65532).exists());
        alice = joined(&bus, ALICE, "system", "alice");
        assert_eq!(bob.ask(&format!("object carol {round}")), "sent");
        assert_eq!(carol.ask("hear"), format!("object {round}"));
        assert_eq!(alice.ask(&format!("region bob {round}")), "sent");
        assert_eq!(bob.ask("hear"), format!("region {round}"));
        assert_eq!(carol.ask(&format!("text alice {round}")), "sent");
        assert_eq!(alice.ask("hear"), format!("text {round}"));
        // And back to Alice, the only one who is left for a while.
        for (uid, label, guest) in [(BOB, "bob", &mut bob), (65532, "carol", &mut carol)] {
            guest.kill();
            *guest = joined(&bus, uid, "system", label);
        }
        eventually("Alice serves", true, || {
            let controller = serving_pid(&bus, ALICE);
            if controller != Some(alice.pid()) {
                for (uid, label, guest) in [(BOB, "bob", &mut bob), (65532, "carol", &mut carol)] {
                    if serving_pid(&bus, uid) == Some(guest.pid()) {
                        guest.kill();
                        *guest = joined(&bus, uid, "system", label);
                    }
                }
            }
            controller == Some(alice.pid())
        });
    }
}

/// The process that listens on the socket of a user.
fn serving_pid(bus: &Bus, uid: u32) -> Option<u32> {
    let socket = ipmb_tests::bad::connect(&socket_of(bus, uid)).ok()?;
    let credentials = rustix::net::sockopt::socket_peercred(&socket).ok()?;
    u32::try_from(credentials.pid.as_raw_nonzero().get()).ok()
}

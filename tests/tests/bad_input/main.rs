//! Bad input gets a typed error, at once, and nothing is lost or left behind.

mod forked;
mod joining;
mod messages;
mod resources;
mod selectors;
mod strangers;

use ipmb_tests::{Bus, Peer};
use std::fmt::Write;

/// One that has joined nothing yet, see the role.
fn poor(bus: &Bus, label: &str) -> Peer {
    let peer = bus.peer("poor", &[label]);
    peer.expect("ready");
    peer
}

/// Joins the bus of the tests.
fn join(peer: &mut Peer) -> String {
    join_as(peer, ipmb_tests::bad::IDENTIFIER, "token", 256 << 20)
}

fn join_as(peer: &mut Peer, identifier: &str, token: &str, limit: u64) -> String {
    let mut line = "join ".to_owned();
    for byte in identifier.bytes() {
        write!(line, "{byte:02x}").unwrap();
    }
    peer.ask(&format!("{line} {token} {limit}"))
}

fn assert_starts(line: &str, start: &str) {
    assert!(line.starts_with(start), "{line:?} instead of {start:?}…");
}

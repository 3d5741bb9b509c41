//! G11: only the invited. Other users, and processes without the token, cannot join, read, squat unnoticed,
//! or keep others from joining.
//!
//! Tests with several users need root. Elsewhere they say that they were not run.

mod files;
mod secrets;
mod system;
mod system_squatters;
mod user;

use ipmb_tests::{Bus, Peer, bad, users};
use std::path::PathBuf;

const TOKEN: &str = "9f3c1d77-a-long-and-random-token-b20c44e1";
/// Enough for anybody, and not more than what a test may take.
const PATIENCE: &str = "join 40000";

/// Somebody who joins when told so.
fn guest(bus: &Bus, uid: u32, scope: &str, label: &str, token: &str) -> Peer {
    let arguments = [scope, label, token, "yes"];
    let guest = users::peer(uid, "guest", &bus.path(), &arguments);
    guest.expect("ready");
    guest
}

/// Somebody who has joined.
fn joined(bus: &Bus, uid: u32, scope: &str, label: &str) -> Peer {
    let mut guest = guest(bus, uid, scope, label, TOKEN);
    assert_eq!(guest.ask(PATIENCE), "joined");
    guest
}

/// The lock file of the bus.
fn lock(bus: &Bus) -> PathBuf {
    bad::socket(&bus.path(), bad::IDENTIFIER).with_extension("lock")
}

/// The socket of a user, in the scope `System`.
fn socket_of(bus: &Bus, uid: u32) -> PathBuf {
    lock(bus).with_extension(format!("{uid}.sock"))
}

fn assert_starts(said: &str, beginning: &str) {
    assert!(
        said.starts_with(beginning),
        "{said:?} instead of {beginning:?}"
    );
}

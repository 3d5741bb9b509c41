//! Identifiers, tokens, runtime directories, and whom one meets there.

use super::{assert_starts, join, join_as, poor};
use ipmb::{JoinError, Label, RuntimeDirectoryError, label};
use ipmb_core::{Credential, Greeter, HandshakeError, Version};
use ipmb_tests::{Bus, DEADLINE, Peer, bad};
use rustix::fs::{Gid, Uid, chown};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, Instant},
};

/// Somebody else.
const NOBODY: u32 = 65534;
const LIMIT: u64 = 1 << 20;
/// Less than the 2 s that a handshake may take: nobody waits for that limit.
const AT_ONCE: Duration = Duration::from_millis(1900);

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: only root can be somebody else");
    }
    root
}

fn try_join(bus: &Bus) -> Result<(), JoinError> {
    let options = bus.options(label!("test"));
    ipmb::join::<(), ()>(options, Some(DEADLINE)).map(drop)
}

/// Nothing but the lock file and a dead socket.
fn assert_nothing_is_left(bus: &Bus) {
    let files = fs::read_dir(bus.path()).map_or(0, |files| files.count());
    assert!(files <= 2, "{files} files");
}

#[test]
fn an_empty_identifier_is_refused() {
    let bus = Bus::new();
    let options =
        ipmb::Options::new("", Label::from(["a"]), "token").with_runtime_directory(bus.path());
    let result = ipmb::join::<(), ()>(options, None);
    assert!(matches!(result, Err(JoinError::EmptyIdentifier)));
    assert!(!bus.path().exists());
}

#[test]
fn any_other_identifier_is_fine() {
    let long = "x".repeat(1 << 20);
    let nearly = format!("{}y", "x".repeat((1 << 20) - 1));
    let identifiers = [
        long.as_str(),
        &nearly,
        "/",
        "a/b",
        "..",
        "../..",
        "../bus",
        "\0",
        "a\0b",
        "🚀🌍",
        " ",
        "\n",
        "%s%n",
    ];
    let bus = Bus::new();
    for (n, identifier) in identifiers.into_iter().enumerate() {
        let (mut alice, mut bob) = (poor(&bus, "alice"), poor(&bus, "bob"));
        for peer in [&mut alice, &mut bob] {
            assert_eq!(join_as(peer, identifier, "token", LIMIT), "Ok(())");
        }
        // Those on other buses, which are all there in the same directory, hear nothing of it.
        let bytes = 100 + n;
        assert_eq!(alice.ask(&format!("send bob {bytes} 1")), "Ok(())");
        let heard = format!("Ok(\"{bytes} bytes, 1 objects\")");
        assert_eq!(bob.ask("recv"), heard);
        alice.finish();
        bob.finish();
    }
    // All of it is in the runtime directory, and nothing beside it.
    let around = fs::read_dir(bus.path().parent().unwrap()).unwrap();
    assert_eq!(around.count(), 1);
}

#[test]
fn a_wrong_token_is_refused() {
    let bus = Bus::new();
    let mut alice = poor(&bus, "alice");
    assert_eq!(join(&mut alice), "Ok(())");
    for token in ["wrong", "token2", "Token", "toke"] {
        let mut bob = poor(&bus, "bob");
        let start = Instant::now();
        let said = join_as(&mut bob, bad::IDENTIFIER, token, LIMIT);
        assert_eq!(said, "Err(TokenMismatch)");
        assert!(start.elapsed() < AT_ONCE);
        // And may try again with the right one.
        assert_eq!(join(&mut bob), "Ok(())");
        assert_eq!(alice.ask("send bob 3 0"), "Ok(())");
        assert_eq!(bob.ask("recv"), "Ok(\"3 bytes, 0 objects\")");
        bob.finish();
    }
}

#[test]
fn a_socket_of_another_user_is_refused() {
    if !is_root() {
        return;
    }
    let bus = Bus::new();
    let all = |path: &std::path::Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(bus.path()).unwrap();
    all(bus.path().parent().unwrap(), 0o711);
    // Nobody else gets anything into the directory as it has to be. So it was left open once.
    all(&bus.path(), 0o777);
    let squatter = bus.peer("squatter", &["foreign", &NOBODY.to_string()]);
    squatter.expect("serving");
    let refused = matches!(
        try_join(&bus),
        Err(JoinError::RuntimeDirectory(
            RuntimeDirectoryError::WrongMode { mode: 0o777, .. }
        ))
    );
    assert!(refused);
    all(&bus.path(), 0o700);
    let start = Instant::now();
    let result = try_join(&bus);
    let refused = matches!(result, Err(JoinError::ForeignController { uid: NOBODY }));
    assert!(refused, "{result:?}");
    assert!(start.elapsed() < AT_ONCE);
    // Its socket is dead without it, and replaced.
    drop(squatter);
    try_join(&bus).unwrap();
}

#[test]
fn a_runtime_directory_that_others_can_enter_is_refused() {
    for mode in [0o755, 0o777, 0o710, 0o701, 0o1777, 0o4777] {
        let bus = Bus::new();
        fs::create_dir(bus.path()).unwrap();
        fs::set_permissions(bus.path(), Permissions::from_mode(mode)).unwrap();
        match try_join(&bus) {
            Err(JoinError::RuntimeDirectory(RuntimeDirectoryError::WrongMode { path, .. })) => {
                assert_eq!(path, bus.path());
            }
            other => panic!("{mode:o}: {other:?}"),
        }
        assert_nothing_is_left(&bus);
    }
}

#[test]
fn a_runtime_directory_of_another_user_is_refused() {
    if !is_root() {
        return;
    }
    let bus = Bus::new();
    fs::create_dir(bus.path()).unwrap();
    fs::set_permissions(bus.path(), Permissions::from_mode(0o700)).unwrap();
    chown(
        bus.path(),
        Some(Uid::from_raw(NOBODY)),
        Some(Gid::from_raw(NOBODY)),
    )
    .unwrap();
    let result = try_join(&bus);
    let refused = matches!(
        result,
        Err(JoinError::RuntimeDirectory(
            RuntimeDirectoryError::WrongOwner {
                uid: NOBODY,
                expected: 0,
                ..
            }
        ))
    );
    assert!(refused, "{result:?}");
    assert_eq!(fs::read_dir(bus.path()).unwrap().count(), 0);
}

#[test]
fn a_runtime_directory_that_is_not_writable_is_refused() {
    // Nothing keeps root from writing.
    if !is_root() {
        return;
    }
    let bus = Bus::new();
    fs::create_dir(bus.path()).unwrap();
    fs::set_permissions(bus.path().parent().unwrap(), Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(bus.path(), Permissions::from_mode(0o500)).unwrap();
    chown(
        bus.path(),
        Some(Uid::from_raw(NOBODY)),
        Some(Gid::from_raw(NOBODY)),
    )
    .unwrap();
    let mut peer = poor(&bus, "nobody");
    assert_eq!(peer.ask(&format!("user {NOBODY}")), "user");
    assert_starts(&join(&mut peer), "Err(RuntimeDirectory(NotWritable");
    fs::set_permissions(bus.path(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(join(&mut peer), "Ok(())");
}

#[test]
fn a_runtime_directory_that_is_none_is_refused() {
    let bus = Bus::new();
    let elsewhere = bus.path().with_extension("elsewhere");
    let is_refused = || {
        let result = try_join(&bus);
        let refused = matches!(
            result,
            Err(JoinError::RuntimeDirectory(
                RuntimeDirectoryError::NotADirectory { .. }
            ))
        );
        assert!(refused, "{result:?}");
        fs::remove_file(bus.path()).unwrap();
    };
    fs::write(bus.path(), "").unwrap();
    is_refused();
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
    symlink(&elsewhere, bus.path()).unwrap();
    is_refused();
    symlink("nowhere", bus.path()).unwrap();
    is_refused();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_runtime_directory_without_a_parent_is_an_error() {
    let bus = Bus::new();
    let options = bus.options(label!("test"));
    let options = options.with_runtime_directory(bus.path().join("a/b"));
    let result = ipmb::join::<(), ()>(options, Some(DEADLINE));
    assert!(matches!(
        result,
        Err(JoinError::RuntimeDirectory(
            RuntimeDirectoryError::Io { .. }
        ))
    ));
}

#[test]
fn a_lock_file_that_is_none_is_an_error() {
    let bus = Bus::new();
    try_join(&bus).unwrap();
    let lock = bad::socket(&bus.path(), bad::IDENTIFIER).with_extension("lock");
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "mine").unwrap();
    let error = try_join(&bus).unwrap_err();
    assert!(
        error.to_string().contains("is not the lock file"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&lock).unwrap(), "mine");
}

fn squatted(how: &str) -> (Bus, Peer) {
    let bus = Bus::new();
    try_join(&bus).unwrap();
    let _ = fs::remove_file(bad::socket(&bus.path(), bad::IDENTIFIER));
    let squatter = bus.peer("squatter", &[how]);
    squatter.expect("serving");
    (bus, squatter)
}

#[test]
fn a_controller_of_an_old_version_is_refused() {
    let (bus, _squatter) = squatted("old");
    match try_join(&bus) {
        Err(JoinError::VersionMismatch(version)) => assert_eq!(version, Version::new(0, 8, 5)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_controller_that_talks_nonsense_is_refused() {
    let (bus, _squatter) = squatted("garbage");
    let result = try_join(&bus);
    assert!(matches!(result, Err(JoinError::Refused(_))), "{result:?}");
}

#[test]
fn a_controller_that_never_answers_is_given_up() {
    let (bus, squatter) = squatted("silent");
    let options = bus.options(label!("test"));
    let patience = Duration::from_millis(300);
    let start = Instant::now();
    let result = ipmb::join::<(), ()>(options, Some(patience));
    assert!(matches!(result, Err(JoinError::Timeout)), "{result:?}");
    let took = start.elapsed();
    assert!(
        took >= patience && took < Duration::from_secs(5),
        "{took:?}"
    );
    drop(squatter);
    try_join(&bus).unwrap();
}

#[test]
fn a_joiner_of_another_version_is_told() {
    let bus = Bus::new();
    let _endpoint = ipmb::join::<(), ()>(bus.options(label!("test")), None).unwrap();
    for (minor, compatible) in [(8, false), (9, true), (10, false)] {
        let version = Version::new(0, minor, 0);
        let credential = Credential::new(bad::IDENTIFIER, "token").with_version(version);
        let (mut greeter, hello) = Greeter::start(&credential, [1; 32]);
        let socket = bad::connect(&bad::socket(&bus.path(), bad::IDENTIFIER)).unwrap();
        bad::send(&socket, &hello).unwrap();
        match greeter.handle(&bad::receive(&socket).unwrap()) {
            Ok(_) => assert!(compatible),
            Err(HandshakeError::VersionMismatch(theirs)) => {
                assert!(!compatible);
                assert_eq!(theirs, ipmb::version());
            }
            Err(error) => panic!("{error}"),
        }
    }
}

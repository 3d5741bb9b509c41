//! The runtime directory, as an attacker has left it. He is another user, and was there first.

use super::{PATIENCE, TOKEN, assert_starts, guest, joined, lock, socket_of};
use ipmb_tests::{
    Bus, Peer, proc,
    users::{self, ALICE, BOB, MALLORY},
};
use rustix::fs::{CWD, Mode, mkfifoat};
use std::{
    fs,
    os::unix::{fs::MetadataExt, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
};

const PRECIOUS: &str = "precious";

/// Makes something in a place, and says what it is.
type Thing = (&'static str, fn(&Path, &Path));

const THINGS: [Thing; 5] = [
    ("a directory", |place, _| fs::create_dir(place).unwrap()),
    ("a file", |place, _| fs::write(place, PRECIOUS).unwrap()),
    ("a link to a file", |place, file| {
        symlink(file, place).unwrap();
    }),
    ("a dangling link", |place, _| {
        symlink(place.with_file_name("nowhere"), place).unwrap();
    }),
    ("a socket", |place, _| {
        UnixListener::bind(place).unwrap();
    }),
];

fn fifo(path: &Path, mode: u32) {
    mkfifoat(CWD, path, Mode::empty()).unwrap();
    users::chmod(path, mode);
}

/// A file of Bob's that nobody is to touch.
struct Precious(PathBuf);

impl Precious {
    fn new(bus: &Bus) -> Self {
        let path = bus.path().with_extension("precious");
        fs::write(&path, PRECIOUS).unwrap();
        users::chmod(&path, 0o600);
        users::give(&path, BOB);
        Self(path)
    }

    fn assert_untouched(&self) {
        assert_eq!(fs::read_to_string(&self.0).unwrap(), PRECIOUS);
        let found = fs::metadata(&self.0).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, BOB));
    }
}

/// What Bob hears when he joins.
fn bob_joins(bus: &Bus) -> String {
    guest(bus, BOB, "system", "bob", TOKEN).ask(PATIENCE)
}

#[test]
fn g11_nothing_in_place_of_the_lock_file_is_followed() {
    if !users::are_there("nothing_in_place_of_the_lock_file_is_followed") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let precious = Precious::new(&bus);
    let lock = lock(&bus);
    for (what, make) in THINGS {
        make(&lock, &precious.0);
        users::give(&lock, MALLORY);
        let said = bob_joins(&bus);
        assert_starts(&said, "Obstructed(");
        // It says which file it is, and what to do.
        assert!(said.contains(lock.to_str().unwrap()), "{what}: {said}");
        assert!(said.contains("remove"), "{what}: {said}");
        precious.assert_untouched();
        // It is left as it is.
        assert!(fs::symlink_metadata(&lock).is_ok(), "{what}");
        let removed = fs::remove_file(&lock).or_else(|_| fs::remove_dir(&lock));
        removed.unwrap();
    }
    assert!(!bus.path().join("nowhere").exists());
    // A FIFO of somebody else is fine, if it lets others in.
    fifo(&lock, 0o600);
    users::give(&lock, MALLORY);
    assert_starts(&bob_joins(&bus), "Obstructed(Foreign { ");
    users::chmod(&lock, 0o666);
    assert_eq!(bob_joins(&bus), "joined");
}

#[test]
fn g11_a_hard_link_in_place_of_the_lock_file_is_not_opened_up() {
    if !users::are_there("a_hard_link_in_place_of_the_lock_file_is_not_opened_up") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let private = bus.path().with_extension("private");
    fifo(&private, 0o600);
    users::give(&private, BOB);
    fs::hard_link(&private, lock(&bus)).unwrap();
    assert_starts(&bob_joins(&bus), "Obstructed(Linked { ");
    assert_eq!(fs::metadata(&private).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn g11_nothing_in_place_of_the_socket_is_followed() {
    if !users::are_there("nothing_in_place_of_the_socket_is_followed") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let precious = Precious::new(&bus);
    let socket = socket_of(&bus, BOB);
    for place in [socket.clone(), socket.with_extension("sock.new")] {
        for (what, make) in THINGS {
            for owner in [MALLORY, BOB] {
                make(&place, &precious.0);
                users::give(&place, owner);
                let said = bob_joins(&bus);
                precious.assert_untouched();
                match owner {
                    MALLORY => assert_starts(&said, "Obstructed(Foreign { "),
                    _ if place.is_dir() => assert_starts(&said, "Obstructed(NotASocket { "),
                    // What is his own can be replaced.
                    _ => assert_eq!(said, "joined", "{what}"),
                }
                let _ = fs::remove_file(&place).or_else(|_| fs::remove_dir(&place));
            }
        }
    }
    assert!(!bus.path().join("nowhere").exists());
    assert_eq!(bob_joins(&bus), "joined");
}

#[test]
fn g11_a_stranger_who_holds_the_lock_is_an_error_in_time() {
    if !users::are_there("a_stranger_who_holds_the_lock_is_an_error_in_time") {
        return;
    }
    let holders: Vec<(Bus, Peer, Peer)> = ["marked", "unmarked"]
        .map(|how| {
            let bus = Bus::new();
            users::share(&bus);
            fifo(&lock(&bus), 0o666);
            let arguments = [lock(&bus).to_str().unwrap().to_owned(), how.to_owned()];
            let arguments = arguments.each_ref().map(String::as_str);
            let holder = users::peer(MALLORY, "holder", &bus.path(), &arguments);
            holder.expect("holding");
            let mut bob = guest(&bus, BOB, "system", "bob", TOKEN);
            bob.tell(PATIENCE);
            (bus, holder, bob)
        })
        .into();
    for (bus, mut holder, mut bob) in holders {
        assert_starts(&bob.line(), "Obstructed(Unserved { ");
        holder.kill();
        assert_eq!(bob.ask(PATIENCE), "joined");
        drop(bus);
    }
}

#[test]
fn g11_who_is_on_the_bus_gets_over_a_stranger_who_held_the_lock() {
    if !users::are_there("who_is_on_the_bus_gets_over_a_stranger_who_held_the_lock") {
        return;
    }
    let bus = Bus::new();
    users::share(&bus);
    let mut alice = joined(&bus, ALICE, "system", "alice");
    let mut bob = guest(&bus, BOB, "system", "bob", TOKEN);
    assert_eq!(bob.ask(PATIENCE), "joined");
    assert_eq!(alice.ask("text bob one"), "sent");
    assert_eq!(bob.ask("hear"), "text one");
    // Mallory is faster than Bob when Alice dies: Bob is stopped.
    bob.signal(rustix::process::Signal::STOP);
    proc::eventually("Bob is stopped", true, || proc::is_stopped(bob.pid()));
    alice.kill();
    let arguments = [lock(&bus).to_str().unwrap().to_owned(), "unmarked".into()];
    let arguments = arguments.each_ref().map(String::as_str);
    let mut holder = users::peer(MALLORY, "holder", &bus.path(), &arguments);
    holder.expect("holding");
    bob.signal(rustix::process::Signal::CONT);
    let mut carol = guest(&bus, 65532, "system", "carol", TOKEN);
    carol.tell(PATIENCE);
    holder.kill();
    carol.expect("joined");
    assert_eq!(carol.ask("text bob two"), "sent");
    assert_eq!(bob.ask("hear"), "text two");
}

/// The directory itself, under the name that everybody can guess.
#[test]
fn g11_a_prepared_runtime_directory_is_refused() {
    const VICTIM: u32 = 64231;
    if !users::are_there("a_prepared_runtime_directory_is_refused") {
        return;
    }
    let place = PathBuf::from(format!("/tmp/ipmb-{VICTIM}"));
    let clear = || {
        let _ = fs::remove_file(&place);
        let _ = fs::remove_dir_all(&place);
    };
    let join = || {
        let arguments = ["user", "victim", TOKEN, "yes"];
        let (mut command, _program) = users::command(VICTIM, "guest", Path::new("-"), &arguments);
        command
            .env_remove("IPMB_RUNTIME_DIR")
            .env_remove("XDG_RUNTIME_DIR");
        let mut victim = Peer::spawn(command);
        victim.expect("ready");
        victim.ask(PATIENCE)
    };
    let bus = Bus::new();
    users::make_over(&bus, VICTIM);
    let made: [(&str, &dyn Fn()); 6] = [
        ("WrongOwner", &|| {
            fs::create_dir(&place).unwrap();
            users::give(&place, MALLORY);
            users::chmod(&place, 0o777);
        }),
        ("WrongMode", &|| {
            fs::create_dir(&place).unwrap();
            users::give(&place, VICTIM);
            users::chmod(&place, 0o777);
        }),
        // Even if it leads to where he would be let in.
        ("NotADirectory", &|| {
            symlink(bus.path(), &place).unwrap();
            users::give(&place, MALLORY);
        }),
        ("NotADirectory", &|| {
            symlink("/nowhere/at/all", &place).unwrap();
            users::give(&place, MALLORY);
        }),
        ("NotADirectory", &|| fifo(&place, 0o666)),
        ("NotADirectory", &|| fs::write(&place, "").unwrap()),
    ];
    for (error, make) in made {
        clear();
        make();
        let said = join();
        assert_starts(&said, &format!("RuntimeDirectory({error} {{ "));
        assert!(said.contains(place.to_str().unwrap()), "{said}");
    }
    assert_eq!(fs::read_dir(bus.path()).unwrap().count(), 0);
    clear();
    assert_eq!(join(), "joined");
    clear();
}

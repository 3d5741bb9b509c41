//! The rendezvous, while all live.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use ipmb_sys::{
    BorrowedObject, ChannelRecvError, ConnectError, Interest, Obstacle, Poller, Rendezvous,
    RuntimeDirectory, Scope, Watch, wait_readable,
};

use super::process::{Helper, NOBODY, PATIENCE, is_root, temporary};

pub const KEY: [u8; 16] = *b"the key of a bus";

pub fn open(directory: &Path) -> Rendezvous {
    open_scope(directory, Scope::User)
}

pub fn open_scope(directory: &Path, scope: Scope) -> Rendezvous {
    Rendezvous::open(
        RuntimeDirectory::resolve(Some(directory), scope).unwrap(),
        KEY,
    )
    .unwrap()
}

/// Through a poller, as the driver does.
pub fn wait_for_hangup(object: BorrowedObject<'_>) {
    let poller = Poller::new().unwrap();
    poller.add(object, 0, Interest::HangupOnly).unwrap();
    let mut events = Vec::new();
    poller.wait(&mut events, PATIENCE).unwrap();
    assert!(events[0].hangup);
}

/// `<key in hexadecimal><suffix>`.
pub fn name(suffix: &str) -> String {
    format!("{:032x}{suffix}", u128::from_be_bytes(KEY))
}

#[test]
fn from_vacant_to_serving_and_back() {
    let directory = temporary();
    let (a, b) = (open(directory.path()), open(directory.path()));
    assert_eq!(a.watch().unwrap(), Watch::Vacant);
    wait_for_hangup(a.watch_object());
    assert!(matches!(a.connect(), Err(ConnectError::NoController)));

    let seat = a.try_seat().unwrap().unwrap();
    assert!(a.try_seat().unwrap().is_none() && b.try_seat().unwrap().is_none());
    let late = open(directory.path());
    for watcher in [&a, &b, &late] {
        assert_eq!(watcher.watch().unwrap(), Watch::Pending);
    }
    assert!(matches!(b.connect(), Err(ConnectError::NoController)));

    let listener = seat.serve().unwrap();
    for watcher in [&a, &b, &late, &open(directory.path())] {
        assert_eq!(watcher.watch().unwrap(), Watch::Serving);
        assert!(wait_readable(watcher.watch_object(), PATIENCE).unwrap());
    }
    let client = b.connect().unwrap();
    assert!(wait_readable(listener.as_fd(), PATIENCE).unwrap());
    let server = listener.accept().unwrap().unwrap();
    assert!(listener.accept().unwrap().is_none());
    client.try_send(b"hello", &[]).unwrap();
    let mut bytes = Vec::new();
    server.try_recv(&mut bytes, &mut Vec::new()).unwrap();
    assert_eq!(bytes, b"hello");

    listener.withdraw();
    assert!(matches!(b.connect(), Err(ConnectError::NoController)));
    assert!(b.try_seat().unwrap().is_none());
    drop(seat);
    for watcher in [&a, &b, &late] {
        assert_eq!(watcher.watch().unwrap(), Watch::Vacant);
    }
    client.try_send(b"still", &[]).unwrap();
    let left = names(directory.path());
    assert_eq!(left, [name(".lock")], "nothing but an empty lock file");
}

#[test]
fn a_stale_word_is_taken_back() {
    let directory = temporary();
    let (a, b) = (open(directory.path()), open(directory.path()));
    let seat = a.try_seat().unwrap().unwrap();
    let listener = seat.serve().unwrap();
    drop((listener, seat));
    assert_eq!(
        b.watch().unwrap(),
        Watch::Vacant,
        "although there is a byte and a socket"
    );
    assert!(matches!(b.connect(), Err(ConnectError::NoController)));
    let seat = b.try_seat().unwrap().unwrap();
    assert_eq!(a.watch().unwrap(), Watch::Pending);
    let _listener = seat.serve().unwrap();
    assert_eq!(a.watch().unwrap(), Watch::Serving);
    assert!(a.connect().is_ok());
    assert_eq!(names(directory.path()), [name(".lock"), name(".sock")]);
}

#[test]
fn an_open_pipe_is_no_seat() {
    let directory = temporary();
    let ours = open(directory.path());
    // Somebody holds the lock file open for writing, but not the lock.
    let path = directory.path().join(name(".lock"));
    let open_end = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    std::io::Write::write_all(&mut &open_end, &[1; 5000]).unwrap();
    assert_eq!(ours.watch().unwrap(), Watch::Vacant);
    let seat = ours.try_seat().unwrap().unwrap();
    assert_eq!(ours.watch().unwrap(), Watch::Pending);
    drop(seat);
    assert_eq!(ours.watch().unwrap(), Watch::Vacant);
}

#[test]
fn members_see_each_other() {
    let directory = temporary();
    let (a, b) = (open(directory.path()), open(directory.path()));
    a.enlist().unwrap();
    a.enlist().unwrap();
    assert!(!a.members_present().unwrap() && b.members_present().unwrap());
    b.enlist().unwrap();
    assert!(a.members_present().unwrap());
    a.resign();
    assert!(a.members_present().unwrap() && !b.members_present().unwrap());
    drop(b);
    assert!(!a.members_present().unwrap());
    let _seat = a.try_seat().unwrap().unwrap();
    assert!(!a.members_present().unwrap(), "the seat is no member");
}

#[test]
fn keys_do_not_meet() {
    let directory = temporary();
    let resolve = || RuntimeDirectory::resolve(Some(directory.path()), Scope::User).unwrap();
    let (a, b) = (
        open(directory.path()),
        Rendezvous::open(resolve(), [0; 16]).unwrap(),
    );
    let _seat = a.try_seat().unwrap().unwrap();
    assert!(b.try_seat().unwrap().is_some());
}

#[test]
fn long_directories() {
    let base = temporary();
    let directory = base.path().join("d".repeat(120));
    let (a, b) = (open(&directory), open(&directory));
    let seat = a.try_seat().unwrap().unwrap();
    let listener = seat.serve().unwrap();
    let client = b.connect().unwrap();
    assert!(listener.accept().unwrap().is_some());
    assert!(matches!(
        client.try_recv_plain(&mut Vec::new()),
        Err(ChannelRecvError::Empty | ChannelRecvError::Disconnected)
    ));
    listener.withdraw();
    assert_eq!(names(&directory), [name(".lock")]);
}

#[test]
fn files_are_for_their_owner() {
    let directory = temporary();
    let ours = open(directory.path());
    let seat = ours.try_seat().unwrap().unwrap();
    let _listener = seat.serve().unwrap();
    let find = |suffix| fs::symlink_metadata(directory.path().join(name(suffix))).unwrap();
    assert!(find(".lock").file_type().is_fifo() && find(".sock").file_type().is_socket());
    assert_eq!(
        (find(".lock").mode() & 0o777, find(".sock").mode() & 0o777),
        (0o600, 0o600)
    );
}

#[test]
fn something_else_in_place_of_the_lock_file() {
    let directory = temporary();
    let path = directory.path().join(name(".lock"));
    fs::write(&path, "precious").unwrap();
    let resolve = || RuntimeDirectory::resolve(Some(directory.path()), Scope::User).unwrap();
    let error = Rendezvous::open(resolve(), KEY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains(path.to_str().unwrap()));
    assert_eq!(fs::read(&path).unwrap(), b"precious");

    fs::remove_file(&path).unwrap();
    let ours = open(directory.path());
    fs::remove_file(&path).unwrap();
    assert_eq!(ours.try_seat().unwrap_err().kind(), ErrorKind::NotFound);
    let _successor = open(directory.path());
    assert_eq!(ours.try_seat().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn obstacles_are_named_and_left_alone() {
    let resolve =
        |directory: &Path| RuntimeDirectory::resolve(Some(directory), Scope::User).unwrap();
    let directory = temporary();
    let path = directory.path().join(name(".lock"));
    let obstacle = || {
        let error = Rendezvous::open(resolve(directory.path()), KEY).unwrap_err();
        Obstacle::of(&error).expect("it names what it is").clone()
    };
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    assert_eq!(obstacle(), Obstacle::NotALockFile { path: path.clone() });
    fs::remove_file(&path).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(obstacle(), Obstacle::NotALockFile { path: path.clone() });
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(obstacle(), Obstacle::NotALockFile { path: path.clone() });
    fs::remove_dir(&path).unwrap();
    let ours = open(directory.path());
    fs::hard_link(&path, directory.path().join("another")).unwrap();
    assert_eq!(obstacle(), Obstacle::Linked { path });
    // A directory in the place of the socket, and of the one under which it is made.
    let seat = ours.try_seat().unwrap().unwrap();
    for suffix in [".sock.new", ".sock"] {
        let path = directory.path().join(name(suffix));
        fs::create_dir(&path).unwrap();
        let error = seat.serve().unwrap_err();
        assert_eq!(
            Obstacle::of(&error),
            Some(&Obstacle::NotASocket { path: path.clone() })
        );
        fs::remove_dir(&path).unwrap();
    }
    // What a socket can replace, it replaces.
    fs::write(directory.path().join(name(".sock")), "").unwrap();
    let _listener = seat.serve().unwrap();
    assert!(ours.connect().is_ok());
}

#[test]
fn withdrawing_leaves_the_socket_of_a_successor() {
    let directory = temporary();
    let ours = open(directory.path());
    let seat = ours.try_seat().unwrap().unwrap();
    let first = seat.serve().unwrap();
    let _second = seat.serve().unwrap();
    first.withdraw();
    assert!(ours.connect().is_ok());
}

#[test]
fn a_full_backlog_is_busy() {
    let directory = temporary();
    let ours = open(directory.path());
    let seat = ours.try_seat().unwrap().unwrap();
    let listener = seat.serve().unwrap();
    rustix::net::listen(&listener, 2).unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        match ours.connect() {
            Ok(channel) => waiting.push(channel),
            Err(e) => break e,
        }
    };
    assert!(matches!(error, ConnectError::Busy), "{error}");
    assert!(listener.accept().unwrap().is_some());
    assert!(ours.connect().is_ok());
}

#[test]
fn served_by_somebody_else() {
    if !is_root() {
        return;
    }
    let (theirs, ours) = (temporary(), temporary());
    fs::set_permissions(
        theirs.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let rendezvous = open(ours.path());
    let squatter = Helper::spawn_as_nobody("squatter");
    let socket = theirs.path().join("socket");
    squatter.tell(socket.to_str().unwrap().as_bytes(), &[]);
    assert_eq!(squatter.hear().0, "listening");
    fs::rename(&socket, ours.path().join(name(".sock"))).unwrap();
    assert!(matches!(
        rendezvous.connect(),
        Err(ConnectError::Foreign { uid: NOBODY })
    ));
    squatter.kill();
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

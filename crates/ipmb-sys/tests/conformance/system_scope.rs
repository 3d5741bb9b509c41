//! One bus for all users.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use ipmb_sys::{ConnectError, Scope, Watch};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};

use super::process::{Actor, Helper, NOBODY, is_root, temporary};
use super::rendezvous::{name, open_scope, wait_for_hangup};

#[test]
fn users_meet() {
    let directory = temporary();
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let ours = open_scope(directory.path(), Scope::System);
    let helper = Helper::spawn_as_nobody("system_controller");
    helper.tell(directory.path().to_str().unwrap().as_bytes(), &[]);
    assert_eq!(helper.hear().0, "serving");
    assert_eq!(ours.watch().unwrap(), Watch::Serving);
    assert!(ours.members_present().unwrap() && ours.try_seat().unwrap().is_none());
    let channel = ours.connect().unwrap();
    let found = channel.peer_credentials().unwrap();
    assert_eq!(found.pid, helper.pid());
    if is_root() {
        assert_eq!(found.uid, NOBODY);
    }
    helper.kill();
    wait_for_hangup(ours.watch_object());
    // The next controller is another user, and the dead one's socket stays.
    let seat = ours.try_seat().unwrap().unwrap();
    let _listener = seat.serve().unwrap();
    let own = ours.connect().unwrap().peer_credentials().unwrap();
    assert_eq!(own.pid, std::process::id());
}

#[test]
fn nobody_serves_under_the_name_of_another() {
    let directory = temporary();
    let ours = open_scope(directory.path(), Scope::System);
    let own = rustix::process::geteuid().as_raw();
    let _squatter = listen_at(directory.path().join(name(&format!(".{}.sock", own + 1))));
    let _twisted = listen_at(directory.path().join(name(&format!(".0{own}.sock"))));
    let _malformed = listen_at(directory.path().join(name(".x.sock")));
    assert!(matches!(ours.connect(), Err(ConnectError::NoController)));
    // Not a channel at all, under the right name; and a link to one.
    let socket = directory.path().join(name(&format!(".{own}.sock")));
    let stream = UnixListener::bind(&socket);
    assert!(matches!(ours.connect(), Err(ConnectError::NoController)));
    drop(stream);
    fs::remove_file(&socket).unwrap();
    let elsewhere = temporary();
    let _service = listen_at(elsewhere.path().join("service"));
    std::os::unix::fs::symlink(elsewhere.path().join("service"), &socket).unwrap();
    assert!(matches!(ours.connect(), Err(ConnectError::NoController)));
    fs::remove_file(&socket).unwrap();
    // Who is to be left out is.
    let _channel = listen_at(socket);
    assert!(ours.connect().is_ok());
    let nobody = ours.connect_ranked(|uid| (uid != own).then_some(0));
    assert!(matches!(nobody, Err(ConnectError::NoController)));
}

pub fn controller(actor: &mut Actor) {
    let rendezvous = open_scope(actor.hear().0.as_ref(), Scope::System);
    rendezvous.enlist().unwrap();
    let seat = rendezvous.try_seat().unwrap().unwrap();
    let _listener = seat.serve().unwrap();
    actor.tell(b"serving", &[]);
    actor.linger();
}

pub fn squatter(actor: &mut Actor) {
    let listener = listen_at(actor.hear().0.into());
    assert!(listener.as_fd().try_clone_to_owned().is_ok());
    actor.tell(b"listening", &[]);
    actor.linger();
}

fn listen_at(path: std::path::PathBuf) -> std::os::fd::OwnedFd {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(path.as_path()).unwrap()).unwrap();
    listen(&socket, 8).unwrap();
    socket
}

//! The rendezvous across processes that are killed.

use std::os::fd::AsFd;

use ipmb_sys::{ConnectError, Watch, wait_readable};

use super::process::{Actor, Helper, PATIENCE, temporary};
use super::rendezvous::{open, wait_for_hangup};

#[test]
fn the_seat_of_the_dead_is_free_when_the_watch_hangs_up() {
    let directory = temporary();
    let ours = open(directory.path());
    for round in 0..10 {
        let helper = Helper::spawn("controller");
        helper.tell(directory.path().to_str().unwrap().as_bytes(), &[]);
        assert_eq!(helper.hear().0, "serving");
        assert_eq!(ours.watch().unwrap(), Watch::Serving);
        assert!(ours.members_present().unwrap());
        assert!(ours.try_seat().unwrap().is_none());
        let client = ours.connect().unwrap();
        assert_eq!(client.peer_credentials().unwrap().pid, helper.pid());
        // Nobody reaps it before we look: what counts is the kernel's order, not `wait`.
        // SAFETY: signals a child of ours that is not reaped.
        unsafe { libc::kill(helper.pid() as i32, libc::SIGKILL) };
        wait_for_hangup(ours.watch_object());
        let seat = ours.try_seat().unwrap();
        assert!(seat.is_some(), "hung up and not free, in round {round}");
        drop(seat);
        helper.kill();
        assert_eq!(ours.watch().unwrap(), Watch::Vacant);
        assert!(!ours.members_present().unwrap());
        assert!(matches!(ours.connect(), Err(ConnectError::NoController)));
        assert!(client.is_disconnected());
    }
}

pub fn controller(actor: &mut Actor) {
    let rendezvous = open(actor.hear().0.as_ref());
    rendezvous.enlist().unwrap();
    let seat = rendezvous.try_seat().unwrap().unwrap();
    let _listener = seat.serve().unwrap();
    actor.tell(b"serving", &[]);
    actor.linger();
}

#[test]
fn the_kernel_says_who_connects() {
    let directory = temporary();
    let ours = open(directory.path());
    let seat = ours.try_seat().unwrap().unwrap();
    let listener = seat.serve().unwrap();
    let helper = Helper::spawn("client");
    helper.tell(directory.path().to_str().unwrap().as_bytes(), &[]);
    assert!(wait_readable(listener.as_fd(), PATIENCE).unwrap());
    let channel = listener.accept().unwrap().unwrap();
    let found = channel.peer_credentials().unwrap();
    assert_eq!(found.pid, helper.pid());
    assert_eq!(found.uid, rustix::process::geteuid().as_raw());
    assert_eq!(helper.hear().0, std::process::id().to_string());
    helper.kill();
    assert!(wait_readable(channel.as_fd(), PATIENCE).unwrap() && channel.is_disconnected());
}

pub fn client(actor: &mut Actor) {
    let rendezvous = open(actor.hear().0.as_ref());
    let channel = rendezvous.connect().unwrap();
    let pid = channel.peer_credentials().unwrap().pid;
    actor.tell(pid.to_string().as_bytes(), &[]);
    actor.linger();
}

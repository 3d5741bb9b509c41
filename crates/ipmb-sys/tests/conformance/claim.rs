//! Claims on memory regions.

use std::io::ErrorKind;
use std::os::fd::AsFd;

use ipmb_sys::{Claim, ProcessWatch, Purpose, create_memory, is_leased, lease, wait_readable};

use super::process::{Actor, Helper, PATIENCE};

#[test]
fn slots_are_exclusive_and_come_back() {
    let (object, _mapping) = create_memory(Purpose::Shared, 4096, false).unwrap();
    let first = Claim::take(object.as_fd(), 2).unwrap();
    let second = Claim::take(object.as_fd(), 2).unwrap();
    assert_eq!((first.slot(), second.slot()), (0, 1));
    assert!(first.is_held(0) && first.is_held(1) && !first.is_held(2));
    assert!(second.is_held(0) && second.is_held(1));
    let full = Claim::take(object.as_fd(), 2).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::ResourceBusy);
    drop(first);
    assert!(!second.is_held(0));
    assert_eq!(Claim::take(object.as_fd(), 2).unwrap().slot(), 0);
}

#[test]
fn killed_holders_hold_nothing() {
    let (object, _mapping) = create_memory(Purpose::Shared, 4096, false).unwrap();
    let helper = Helper::spawn("claim");
    helper.tell(b"claim this", &[object.as_fd()]);
    assert_eq!(helper.hear().0, "0");
    let ours = Claim::take(object.as_fd(), 8).unwrap();
    assert_eq!(ours.slot(), 1);
    assert!(ours.is_held(0));
    let watch = ProcessWatch::open(helper.pid()).unwrap().unwrap();
    assert!(!watch.is_dead());
    helper.kill();
    assert!(wait_readable(watch.as_fd(), PATIENCE).unwrap() && watch.is_dead());
    assert!(!ours.is_held(0));
}

#[test]
fn a_lease_ends_with_its_last_holder() {
    let (object, _mapping) = create_memory(Purpose::Shared, 4096, false).unwrap();
    assert!(!is_leased(object.as_fd()));
    let ours = lease(object.as_fd()).unwrap();
    assert!(is_leased(object.as_fd()));
    let second = lease(object.as_fd()).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::ResourceBusy);
    // On its way to somebody else it counts, and so it does there, even if it is not looked at.
    let helper = Helper::spawn("lease");
    helper.tell(b"keep this", &[ours.as_fd()]);
    drop(ours);
    assert!(is_leased(object.as_fd()));
    assert_eq!(helper.hear().0, "kept");
    assert!(is_leased(object.as_fd()));
    let watch = ProcessWatch::open(helper.pid()).unwrap().unwrap();
    helper.kill();
    assert!(wait_readable(watch.as_fd(), PATIENCE).unwrap() && watch.is_dead());
    assert!(!is_leased(object.as_fd()));
}

pub fn leaseholder(actor: &mut Actor) {
    let (_, objects) = actor.hear();
    actor.tell(b"kept", &[]);
    actor.linger();
    drop(objects);
}

pub fn claimant(actor: &mut Actor) {
    let (_, objects) = actor.hear();
    let claim = Claim::take(objects[0].as_fd(), 8).unwrap();
    actor.tell(claim.slot().to_string().as_bytes(), &[]);
    actor.linger();
}

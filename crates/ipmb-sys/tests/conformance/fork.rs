//! What a forked child keeps alive: nothing.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use ipmb_sys::{
    Channel, ChannelRecvError, ChannelSendError, Claim, ConnectError, Interest, Poller,
    ProcessWatch, Purpose, Watch, create_memory, fork_generation,
};

use super::process::{Actor, Helper, PATIENCE, temporary};
use super::rendezvous::{open, wait_for_hangup};

#[test]
fn a_child_keeps_no_connection_seat_or_claim_alive() {
    let directory = temporary();
    let ours = open(directory.path());
    let (memory, _mapping) = create_memory(Purpose::Shared, 4096, false).unwrap();
    let helper = Helper::spawn("fork");
    helper.tell(
        directory.path().to_str().unwrap().as_bytes(),
        &[memory.as_fd()],
    );
    let (child, mut objects) = helper.hear();
    let child: u32 = child.parse().unwrap();
    let channel = Channel::from_object(objects.remove(0)).unwrap();
    let claim = Claim::take(memory.as_fd(), 8).unwrap();
    assert_eq!(ours.watch().unwrap(), Watch::Serving);
    assert!(ours.members_present().unwrap() && ours.try_seat().unwrap().is_none());
    assert!(claim.is_held(0) && claim.slot() == 1);
    assert!(!channel.is_disconnected());
    helper.kill();
    wait_for_hangup(ours.watch_object());
    assert_eq!(ours.watch().unwrap(), Watch::Vacant);
    assert!(matches!(ours.connect(), Err(ConnectError::NoController)));
    assert!(ours.try_seat().unwrap().is_some());
    assert!(!ours.members_present().unwrap() && !claim.is_held(0));
    assert!(channel.is_disconnected());
    let alive = ProcessWatch::open(child)
        .unwrap()
        .expect("the child has outlived its parent");
    assert!(!alive.is_dead());
    // SAFETY: signals a process, of which we have just seen that it is the child.
    unsafe { libc::kill(child as i32, libc::SIGKILL) };
}

pub fn forker(actor: &mut Actor) {
    let (directory, objects) = actor.hear();
    let rendezvous = open(directory.as_ref());
    rendezvous.enlist().unwrap();
    let seat = rendezvous.try_seat().unwrap().unwrap();
    let listener = seat.serve().unwrap();
    let claim = Claim::take(objects[0].as_fd(), 8).unwrap();
    let (channel, other) = Channel::pair().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(channel.as_fd(), 1, Interest::Readable).unwrap();
    let (mut verdict, mut report) = std::io::pipe().unwrap();
    let generation = fork_generation();
    // More than one page of the table.
    let many: Vec<_> = (0..300).map(|_| Channel::pair().unwrap()).collect();
    // SAFETY: the child uses only what this test is about, and glibc's allocator, which is whole
    // after fork.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let dead = fork_generation() != generation
            && matches!(
                channel.try_send(b"x", &[]),
                Err(ChannelSendError::Disconnected)
            )
            && matches!(
                channel.try_recv(&mut Vec::new(), &mut Vec::new()),
                Err(ChannelRecvError::Disconnected)
            )
            && many
                .iter()
                .all(|(a, b)| a.is_disconnected() && b.is_disconnected())
            && rendezvous.try_seat().is_err()
            && listener.accept().is_err()
            && poller.remove(channel.as_fd()).is_err();
        // Closing is harmless: the numbers are still the child's own.
        drop((many, claim, channel, poller, rendezvous));
        listener.withdraw();
        drop(seat);
        report.write_all(&[u8::from(dead)]).unwrap();
        // Outlives its parent, but not for ever if the test fails.
        // SAFETY: asks for a signal and waits for it.
        unsafe {
            libc::alarm(30);
            libc::pause();
            libc::_exit(1);
        }
    }
    let mut dead = [0];
    verdict.read_exact(&mut dead).unwrap();
    assert_eq!(dead, [1], "the child could use what is not its own");
    // The parent is as it was.
    assert_eq!(fork_generation(), generation);
    assert!(
        many.iter()
            .all(|(a, b)| !a.is_disconnected() && !b.is_disconnected())
    );
    other.try_send(b"x", &[]).unwrap();
    let mut events = Vec::new();
    poller.wait(&mut events, PATIENCE).unwrap();
    assert!(events[0].readable);
    assert!(rendezvous.connect().is_ok() && claim.is_held(0));
    assert_ne!(listener.accept().unwrap().map(|_| ()), None);
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    actor.tell(pid.to_string().as_bytes(), &[other.as_fd()]);
    drop(other);
    actor.linger();
}

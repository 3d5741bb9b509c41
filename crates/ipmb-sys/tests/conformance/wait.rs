//! Doorbells, pollers, processes, randomness, time.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::thread::JoinHandleExt;
use std::time::{Duration, Instant};

use ipmb_sys::{
    Channel, Doorbell, Event, Interest, Poller, ProcessWatch, Purpose, boot_time_ns, create_memory,
    random, wait_readable,
};

use super::process::{Helper, PATIENCE};

const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn rings_coalesce_and_are_kept() {
    let bell = Doorbell::create().unwrap();
    let other = Doorbell::from_object(bell.try_clone().unwrap().into_object()).unwrap();
    assert!(!bell.wait(NOW).unwrap());
    other.ring();
    other.ring();
    assert!(bell.wait(PATIENCE).unwrap() && bell.wait(NOW).unwrap());
    bell.clear();
    assert!(!bell.wait(NOW).unwrap());
    bell.clear();
}

#[test]
fn a_ring_wakes_who_waits() {
    let bell = Doorbell::create().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| bell.wait(None).unwrap());
        bell.ring();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn a_full_doorbell_that_was_made_to_block_does_not_block_who_rings() {
    use rustix::fs::{OFlags, fcntl_setfl};
    use std::sync::mpsc;
    let bell = Doorbell::create().unwrap();
    rustix::io::write(bell.as_fd(), &(u64::MAX - 1).to_ne_bytes()).unwrap();
    fcntl_setfl(bell.as_fd(), OFlags::empty()).unwrap();
    let poller = Poller::new().unwrap();
    poller.add(bell.as_fd(), 7, Interest::ReadableEdge).unwrap();
    let (mut events, patience) = (Vec::new(), PATIENCE);
    poller.wait(&mut events, patience).unwrap();
    let other = bell.try_clone().unwrap();
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        other.ring();
        done.send(()).unwrap();
    });
    assert!(is_done.recv_timeout(patience.unwrap_or_default()).is_ok());
    // A ring all the same, for those who wait for the next one.
    poller.wait(&mut events, patience).unwrap();
    assert_eq!(events.len(), 1);
}

#[test]
fn a_full_doorbell_is_rung() {
    let bell = Doorbell::create().unwrap();
    rustix::io::write(&bell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    bell.ring();
    assert!(bell.wait(NOW).unwrap());
    bell.clear();
    assert!(!bell.wait(NOW).unwrap());
}

#[test]
fn a_peer_cannot_make_clear_block() {
    let bell = Doorbell::create().unwrap();
    rustix::fs::fcntl_setfl(&bell, rustix::fs::OFlags::empty()).unwrap();
    bell.clear();
    bell.ring();
    bell.clear();
    assert!(!bell.wait(NOW).unwrap());
}

#[test]
fn only_doorbells_are_doorbells() {
    let (channel, _other) = Channel::pair().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for object in [OwnedFd::from(channel), OwnedFd::from(file)] {
        let error = Doorbell::from_object(object).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn timeouts_are_not_cut_short() {
    let (bell, poller) = (Doorbell::create().unwrap(), Poller::new().unwrap());
    let mut events = Vec::new();
    for time in [Duration::from_micros(200), Duration::from_millis(3)] {
        let start = Instant::now();
        assert!(!bell.wait(Some(time)).unwrap());
        poller.wait(&mut events, Some(time)).unwrap();
        assert!(events.is_empty() && start.elapsed() >= 2 * time);
    }
    bell.ring();
    assert!(bell.wait(Some(Duration::MAX)).unwrap());
}

#[test]
fn signals_interrupt_nothing() {
    Helper::spawn("wait_interrupted").succeed();
}

pub fn interrupted() {
    extern "C" fn ignore(_: libc::c_int) {}
    // SAFETY: a handler that does nothing, without SA_RESTART.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
        assert_eq!(
            libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()),
            0
        );
    }
    let waiter = std::thread::spawn(|| {
        timeouts_are_not_cut_short();
        create_memory(Purpose::Shared, 64 << 20, true).unwrap();
    });
    while !waiter.is_finished() {
        // SAFETY: the thread may have ended, but is not joined yet.
        unsafe { libc::pthread_kill(waiter.as_pthread_t(), libc::SIGALRM) };
        // Not to be right, but to let it get ahead.
        std::thread::sleep(Duration::from_millis(1));
    }
    waiter.join().unwrap();
}

#[test]
fn the_poller_tells_what_happened() {
    let poller = Poller::new().unwrap();
    let (a, b) = Channel::pair().unwrap();
    let bell = Doorbell::create().unwrap();
    poller.add(a.as_fd(), 7, Interest::HangupOnly).unwrap();
    poller
        .add(bell.as_fd(), u64::MAX, Interest::ReadableEdge)
        .unwrap();
    let wait = || {
        let mut events = vec![Event {
            token: 0,
            readable: false,
            writable: false,
            hangup: false,
        }];
        poller.wait(&mut events, NOW).unwrap();
        events.sort_by_key(|event| event.token);
        events
    };
    let event = |token, readable, writable, hangup| Event {
        token,
        readable,
        writable,
        hangup,
    };

    b.try_send(b"x", &[]).unwrap();
    assert_eq!(wait(), [], "nobody asked whether it is readable");
    poller.modify(a.as_fd(), 8, Interest::Readable).unwrap();
    assert_eq!(wait(), [event(8, true, false, false)]);
    assert_eq!(
        wait(),
        [event(8, true, false, false)],
        "as long as it holds"
    );
    poller
        .modify(a.as_fd(), 9, Interest::ReadableWritable)
        .unwrap();
    assert_eq!(wait(), [event(9, true, true, false)]);
    poller.modify(a.as_fd(), 7, Interest::HangupOnly).unwrap();

    bell.ring();
    assert!(wait_readable(poller.as_fd(), NOW).unwrap());
    assert_eq!(wait(), [event(u64::MAX, true, false, false)]);
    assert_eq!(wait(), [], "an edge is told once");
    bell.ring();
    assert_eq!(wait(), [event(u64::MAX, true, false, false)]);

    drop(b);
    let mut events = Vec::new();
    poller.wait(&mut events, PATIENCE).unwrap();
    assert!(events[0].hangup);
    poller.remove(a.as_fd()).unwrap();
    assert_eq!(wait(), []);
    assert_eq!(
        poller.remove(a.as_fd()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let again = poller.add(bell.as_fd(), 1, Interest::Readable).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn more_events_than_one_wait_returns() {
    let poller = Poller::new().unwrap();
    let bells: Vec<_> = (0..200).map(|_| Doorbell::create().unwrap()).collect();
    for (token, bell) in bells.iter().enumerate() {
        poller
            .add(bell.as_fd(), token as u64, Interest::ReadableEdge)
            .unwrap();
        bell.ring();
    }
    let (mut events, mut seen) = (Vec::new(), Vec::new());
    loop {
        poller.wait(&mut events, NOW).unwrap();
        if events.is_empty() {
            break;
        }
        seen.extend(events.iter().map(|event| event.token));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
}

#[test]
fn processes_that_are_not_there_are_not_watched() {
    for pid in [0, u32::MAX, i32::MAX as u32] {
        assert!(ProcessWatch::open(pid).unwrap().is_none());
    }
    assert!(
        !ProcessWatch::open(std::process::id())
            .unwrap()
            .unwrap()
            .is_dead()
    );
}

#[test]
fn randomness_and_time() {
    let (mut a, mut b) = ([0; 1000], [0; 1000]);
    random(&mut a).unwrap();
    random(&mut b).unwrap();
    random(&mut []).unwrap();
    assert_ne!(a, b);
    let (earlier, later) = (boot_time_ns(), boot_time_ns());
    assert!(0 < earlier && earlier <= later);
}

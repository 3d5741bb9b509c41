//! Doorbells, pollers, processes, randomness, time.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::thread::JoinHandleExt;
use std::time::{Duration, Instant};

use ipmb_sys::{
    Channel, Doorbell, Event, Heard, Hearing, Interest, Poller, ProcessWatch, Purpose,
    boot_time_ns, create_memory, random, wait_readable,
};

use super::process::{Helper, PATIENCE};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// A doorbell and how its owner hears it, without the first ring that is none.
fn doorbell() -> (Doorbell, Hearing) {
    let bell = Doorbell::create().unwrap();
    let hearing = bell.hearing().unwrap();
    hearing.clear();
    (bell, hearing)
}

/// Whether it was rung, now. That is all that is done to it.
fn is_rung(hearing: &Hearing) -> bool {
    wait_readable(hearing.as_fd(), NOW).unwrap()
}

#[test]
fn rings_coalesce_and_are_kept() {
    let (bell, hearing) = doorbell();
    let other = Doorbell::from_object(bell.try_clone().unwrap().into_object()).unwrap();
    assert_eq!(hearing.wait(NOW).unwrap(), Heard::Nothing);
    other.ring();
    other.ring();
    assert!(is_rung(&hearing) && is_rung(&hearing));
    assert_eq!(hearing.wait(PATIENCE).unwrap(), Heard::Kept);
    assert_eq!(hearing.wait(NOW).unwrap(), Heard::Kept);
    hearing.clear();
    assert_eq!(hearing.wait(NOW).unwrap(), Heard::Nothing);
    hearing.clear();
    other.ring();
    assert_eq!(hearing.wait(None).unwrap(), Heard::Cleared);
    assert!(!is_rung(&hearing));
}

#[test]
fn a_ring_wakes_who_waits() {
    let (bell, hearing) = doorbell();
    for timeout in [None, PATIENCE] {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| hearing.wait(timeout).unwrap());
            bell.ring();
            assert_ne!(waiter.join().unwrap(), Heard::Nothing);
        });
        hearing.clear();
    }
}

#[test]
fn several_hear_each_ring() {
    let (bell, hearing) = doorbell();
    let aside = bell.hearing().unwrap();
    aside.clear();
    for _ in 0..3 {
        bell.ring();
        assert_eq!(aside.wait(None).unwrap(), Heard::Cleared);
        assert!(is_rung(&hearing) && !is_rung(&aside));
    }
}

/// Has somebody else ring, which must not take long, and be heard.
fn is_heard_at_once(bell: &Doorbell, hearing: &Hearing) {
    use std::sync::mpsc;
    hearing.clear();
    let other = bell.try_clone().unwrap();
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        other.ring();
        done.send(()).unwrap();
    });
    assert!(is_done.recv_timeout(PATIENCE.unwrap_or_default()).is_ok());
    assert_eq!(hearing.wait(PATIENCE).unwrap(), Heard::Kept);
}

/// Adds as much as there is room for.
fn fill(bell: &Doorbell) {
    let mut part = u64::MAX - 1;
    while part > 0 {
        match rustix::io::write(bell, &part.to_ne_bytes()) {
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN) => part /= 2,
            Err(error) => panic!("{error}"),
        }
    }
}

fn make_it_block(bell: &Doorbell) {
    rustix::fs::fcntl_setfl(bell, rustix::fs::OFlags::empty()).unwrap();
}

#[test]
fn a_full_doorbell_that_was_made_to_block_rings_all_the_same() {
    let (bell, hearing) = doorbell();
    fill(&bell);
    make_it_block(&bell);
    for _ in 0..3 {
        is_heard_at_once(&bell, &hearing);
    }
}

/// Adds one to a doorbell, above its maximum too, by having the kernel say that a read is done. (io_submit(2))
fn signal(bell: &Doorbell) {
    const READ: u16 = 0;
    const SIGNAL: u32 = 1;
    /// `struct iocb`, on a processor that stores the low byte first.
    #[repr(C)]
    #[derive(Default)]
    struct Control {
        data: u64,
        key: u32,
        rw_flags: u32,
        code: u16,
        priority: i16,
        file: u32,
        buffer: u64,
        len: u64,
        offset: i64,
        reserved: u64,
        flags: u32,
        event: u32,
    }
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let mut byte = 0_u8;
    let mut control = Control {
        code: READ,
        file: file.as_raw_fd() as u32,
        buffer: (&raw mut byte).addr() as u64,
        len: 1,
        flags: SIGNAL,
        event: bell.as_fd().as_raw_fd() as u32,
        ..Control::default()
    };
    let mut context: libc::c_ulong = 0;
    let mut done = [0_u64; 4];
    // SAFETY: the calls get what they ask for; what is read is there until it is done, which is waited for.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_io_setup, 1, &raw mut context), 0);
        let mut list = [&raw mut control];
        let submitted = libc::syscall(libc::SYS_io_submit, context, 1, list.as_mut_ptr());
        assert_eq!(submitted, 1);
        let no_limit = std::ptr::null_mut::<libc::timespec>();
        let got = libc::syscall(
            libc::SYS_io_getevents,
            context,
            1,
            1,
            done.as_mut_ptr(),
            no_limit,
        );
        assert_eq!(got, 1);
        libc::syscall(libc::SYS_io_destroy, context);
    }
}

#[test]
fn a_doorbell_above_its_maximum_that_was_made_to_block_rings_all_the_same() {
    let (bell, hearing) = doorbell();
    for _ in 0..3 {
        fill(&bell);
        signal(&bell);
        let refused = rustix::io::write(&bell, &0_u64.to_ne_bytes());
        assert_eq!(refused, Err(rustix::io::Errno::AGAIN), "it is above");
        make_it_block(&bell);
        is_heard_at_once(&bell, &hearing);
        rustix::fs::fcntl_setfl(&bell, rustix::fs::OFlags::NONBLOCK).unwrap();
    }
}

#[test]
fn who_reads_a_doorbell_takes_no_ring_away() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let (bell, hearing) = doorbell();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    rustix::io::read(&bell, &mut [0; 8]).unwrap();
                }
            });
        }
        for _ in 0..2000 {
            bell.ring();
            assert_eq!(hearing.wait(PATIENCE).unwrap(), Heard::Kept);
            hearing.clear();
        }
        over.store(true, Relaxed);
    });
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
    let ((bell, hearing), poller) = (doorbell(), Poller::new().unwrap());
    let mut events = Vec::new();
    for time in [Duration::from_micros(200), Duration::from_millis(3)] {
        let start = Instant::now();
        assert_eq!(hearing.wait(Some(time)).unwrap(), Heard::Nothing);
        poller.wait(&mut events, Some(time)).unwrap();
        assert!(events.is_empty() && start.elapsed() >= 2 * time);
    }
    bell.ring();
    assert_eq!(hearing.wait(Some(Duration::MAX)).unwrap(), Heard::Kept);
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
fn who_waits_is_woken_by_what_can_always_be_read() {
    let (poller, (bell, _hearing)) = (Poller::new().unwrap(), doorbell());
    let mut events = Vec::new();
    let mut woken = |time| {
        poller.wait(&mut events, time).unwrap();
        let tokens: Vec<u64> = events.iter().map(|event| event.token).collect();
        tokens == [7]
    };
    let wake = || poller.modify(bell.as_fd(), 7, Interest::ReadableOnce);
    poller.add(bell.as_fd(), 7, Interest::ReadableOnce).unwrap();
    assert!(woken(PATIENCE));
    // Those who ring it mean somebody else.
    bell.ring();
    assert!(!woken(NOW));
    wake().unwrap();
    wake().unwrap();
    assert!(woken(PATIENCE) && !woken(NOW));
    std::thread::scope(|scope| {
        scope.spawn(|| wake().unwrap());
        assert!(woken(PATIENCE));
    });
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

    // The first ring is none.
    assert_eq!(wait(), [event(u64::MAX, true, false, false)]);
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

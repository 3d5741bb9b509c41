//! What `cargo xtask faults` has found, each in a test of its own, and what it cannot see.

use ipmb::{EndpointReceiver, EndpointSender, JoinError, Label, Message, Options, Selector, label};
use ipmb_sys::faults::{self, Call, Plan, Seen};
use ipmb_tests::{Bus, DEADLINE, Peer};
use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What fails, fails in the whole process: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

type Endpoint = (EndpointSender<String>, EndpointReceiver<String>);

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, calls of a kind fail, from the nth on.
fn fail(call: Call, error: &str, nth: u32) {
    let fault = call.faults().iter().find(|(name, _)| *name == error);
    let (_, fault) = *fault.expect("the call can fail so");
    faults::start(Some(Plan {
        call,
        fault,
        nth,
        from_then_on: true,
    }));
}

fn hits(seen: &Seen) -> u32 {
    seen.hit_caller + seen.hit_own_thread
}

fn options(bus: &Bus, label: Label) -> Options {
    bus.options(label)
        .with_controller_affinity(false)
        .with_spin(Duration::ZERO)
}

fn join(bus: &Bus, label: Label) -> Endpoint {
    ipmb::join(options(bus, label), Some(DEADLINE)).expect("nothing fails")
}

fn to(label: &str, text: &str) -> Message<String> {
    Message::new(Selector::unicast(label), text.to_owned())
}

/// An endpoint in another process, where nothing fails.
fn guest(bus: &Bus, label: &str, affinity: &str) -> Peer {
    let mut guest = bus.peer("guest", &["user", label, "token", affinity]);
    guest.expect("ready");
    assert_eq!(
        guest.ask(&format!("join {}", DEADLINE.as_millis())),
        "joined"
    );
    guest
}

fn drivers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("we live");
    let names = tasks
        .flatten()
        .map(|task| fs::read_to_string(task.path().join("comm")));
    names.flatten().filter(|name| name.trim() == "ipmb").count()
}

#[test]
fn nobody_spins_while_the_system_has_no_room_for_what_is_to_be_sent() {
    const WHILE: Duration = Duration::from_millis(300);
    // More often than any of the drivers tries again, and far less often than one that spins.
    const TURN: Duration = Duration::from_millis(1);
    let _alone = alone();
    for (error, nth) in ["ENOBUFS", "ENOMEM", "ETOOMANYREFS", "EMSGSIZE"]
        .into_iter()
        .flat_map(|error| (1..=4).map(move |nth| (error, nth)))
    {
        let bus = Bus::new();
        // The controller is in this process: its answers cannot be sent, either.
        let options = bus.options(label!("alice")).with_spin(Duration::ZERO);
        let (_, alice): Endpoint = ipmb::join(options, Some(DEADLINE)).expect("nothing fails");
        let (bob, _bobs) = join(&bus, label!("bob"));
        fail(Call::Sendmsg, error, nth);
        let start = Instant::now();
        let mut sent = Vec::new();
        while start.elapsed() < WHILE {
            let text = format!("{:?}", start.elapsed());
            let left = WHILE.saturating_sub(start.elapsed());
            if bob.send_timeout(to("alice", &text), left).is_ok() {
                sent.push(text);
                thread::park_timeout(left);
            }
        }
        let seen = faults::stop();
        let took = start.elapsed();
        assert_ne!(hits(&seen), 0, "{error} {nth}");
        let waits = seen.calls[Call::EpollWait as usize] + seen.calls[Call::Poll as usize];
        let most = 100 + took.as_millis() / TURN.as_millis();
        assert!(
            u128::from(waits) < most,
            "{error} {nth}: {waits} in {took:?}"
        );
        // What was kept goes out by itself.
        bob.send_timeout(to("alice", "last"), DEADLINE)
            .expect("nothing fails any more");
        sent.push("last".to_owned());
        for text in sent {
            let received = alice.recv(Some(DEADLINE)).expect("it was sent");
            assert_eq!(received.payload, text, "{error} {nth}");
        }
    }
}

#[test]
fn a_survivor_without_memory_for_its_welcome_stays_on_the_bus() {
    let _alone = alone();
    let bus = Bus::new();
    let mut controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let mut alice = guest(&bus, "alice", "yes");
    let (bob, bobs) = join(&bus, label!("bob"));
    let mut reach = |text: &str| {
        assert_eq!(alice.ask(&format!("text bob {text}")), "sent");
        let received = bobs.recv(Some(Duration::from_secs(10)));
        assert_eq!(received.expect("bob is on the bus").payload, text);
    };
    reach("before");
    fail(Call::Mmap, "ENFILE", 1);
    controller.kill();
    let end = Instant::now() + DEADLINE;
    while hits(&faults::seen()) < 5 {
        assert!(Instant::now() < end, "bob is welcome");
        reach("meanwhile");
    }
    faults::stop();
    reach("afterwards");
    bob.send_timeout(to("alice", "bob"), DEADLINE)
        .expect("nothing fails any more");
    assert_eq!(alice.ask("hear"), "text bob");
}

#[test]
fn who_cannot_accept_survivors_does_not_join_without_them() {
    let _alone = alone();
    // The survivor may be too late to be refused, on a busy machine: then it is not waited for.
    for _ in 0..10 {
        let bus = Bus::new();
        let mut controller = bus.peer("candidate", &[]);
        controller.expect("joined");
        let mut survivor = guest(&bus, "survivor", "no");
        fail(Call::Accept, "EMFILE", 1);
        controller.kill();
        let options = bus.options(label!("newcomer"));
        let joined = ipmb::join::<String, String>(options.clone(), Some(DEADLINE));
        let seen = faults::stop();
        if hits(&seen) == 0 {
            continue;
        }
        match joined {
            Err(JoinError::Resources(error)) => {
                assert_eq!(
                    error.raw_os_error(),
                    Some(rustix::io::Errno::MFILE.raw_os_error())
                );
            }
            other => panic!("{:?}", other.map(drop)),
        }
        let (_sender, receiver) =
            ipmb::join::<String, String>(options, Some(DEADLINE)).expect("nothing fails any more");
        assert_eq!(survivor.ask("text newcomer welcome"), "sent");
        let received = receiver.recv(Some(DEADLINE)).expect("it was sent");
        return assert_eq!(received.payload, "welcome");
    }
    panic!("no survivor comes in time");
}

#[test]
fn what_is_parked_is_not_for_somebody_whose_join_has_given_up() {
    let _alone = alone();
    let bus = Bus::new();
    let _controller = guest(&bus, "controller", "yes");
    let (alice, _alices) = join(&bus, label!("alice"));
    let mut selector = Selector::unicast("carol");
    selector.ttl = Duration::from_secs(3600);
    let parked = Message::new(selector, "parked".to_owned());
    alice.send_timeout(parked, DEADLINE).expect("it is parked");
    let before = drivers();
    // It says hello, proves that it has the token, and would then ask to be let in.
    fail(Call::Sendmsg, "ENOMEM", 3);
    let patience = Duration::from_millis(100);
    let joined = ipmb::join::<String, String>(options(&bus, label!("carol")), Some(patience));
    assert!(
        matches!(joined, Err(JoinError::Timeout)),
        "{:?}",
        joined.map(drop)
    );
    let then = faults::seen();
    assert_ne!(hits(&then), 0);
    let end = Instant::now() + DEADLINE;
    while drivers() > before {
        assert!(Instant::now() < end, "the driver ends");
        thread::yield_now();
    }
    // It has not tried any more.
    assert_eq!(faults::stop().calls, then.calls);
    let (_carol, carols) = join(&bus, label!("carol"));
    let received = carols.recv(Some(DEADLINE)).expect("it waits for carol");
    assert_eq!(received.payload, "parked");
}

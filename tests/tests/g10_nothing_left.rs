//! G10: nothing is left behind.

use ipmb::{BytesMessage, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    proc::{self, eventually},
    raw::Raw,
};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    time::{Duration, Instant},
};

const HOUR: u64 = 3_600_000;

#[test]
fn g10_nothing_is_left_when_everybody_is_killed() {
    let mut joins = Vec::new();
    let mut freed = 0;
    for round in 0..10 {
        let bus = Bus::new();
        let before = SharedMemory::now();
        let peers = busy_peers(&bus, 4);
        let files = proc::memory_files(peers.iter().map(Peer::pid));
        freed += files.len();
        let names = runtime_files(&bus);
        // In any order, and all of them before any is waited for.
        for step in 0..peers.len() {
            peers[(step + round) % peers.len()].signal(Signal::KILL);
        }
        drop(peers);
        assert_nothing_runs(&bus);
        before.assert_unchanged();
        let used = proc::memory_files(proc::all());
        assert!(used.is_disjoint(&files), "memory is left");
        // The socket may be another: one who lived a little longer has taken over.
        let left = runtime_files(&bus);
        assert!(left.keys().eq(names.keys()));
        joins.push(assert_joins_at_once(&bus));
        // The same lock file, and a socket in the place of the dead one, or none: who leaves takes
        // its own away.
        let lock = |files: &BTreeMap<String, u64>| files.iter().find_map(lock_file);
        let reused = runtime_files(&bus);
        assert_eq!(lock(&reused), lock(&names));
        assert!(reused.keys().all(|name| names.contains_key(name)));
    }
    report("everybody was killed", &joins);
    println!("{freed} memory files were freed");
}

#[test]
fn g10_nothing_is_left_when_everybody_exits_in_any_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let mut joins = Vec::new();
    for killed in [None, Some(0), Some(1), Some(2)] {
        for order in orders {
            let bus = Bus::new();
            let before = SharedMemory::now();
            // The first is the controller.
            let mut peers: Vec<_> = (0..3).map(|number| Some(peer(&bus, number))).collect();
            for peer in peers.iter_mut().flatten() {
                for to in 0..3 {
                    let order = format!("send peer{to} 3 2 1000 0 5000");
                    assert_eq!(peer.ask(&order), "sent");
                }
            }
            let pids: Vec<u32> = peers.iter().flatten().map(Peer::pid).collect();
            let files = proc::memory_files(pids);
            let lock = runtime_files(&bus).iter().find_map(lock_file);
            for (step, index) in order.into_iter().enumerate() {
                let mut peer = peers[index].take().unwrap();
                match killed == Some(step) {
                    true => peer.kill(),
                    false => peer.finish(),
                }
            }
            assert_nothing_runs(&bus);
            before.assert_unchanged();
            assert!(proc::memory_files(proc::all()).is_disjoint(&files));
            joins.push(assert_joins_at_once(&bus));
            assert_eq!(runtime_files(&bus).iter().find_map(lock_file), lock);
        }
    }
    report("everybody had left", &joins);
}

#[test]
fn g10_nothing_is_left_in_a_process_that_leaves() {
    for affinity in [true, false] {
        let bus = Bus::new();
        let (mut survivor, mut others) = survivor_among_others(&bus, affinity);
        assert_ne!(survivor.ask("look"), "nothing");
        assert_eq!(survivor.ask("leave"), "left");
        nothing_is_left_in(&mut survivor);
        // The bus goes on; and the process may come back.
        assert_eq!(others[0].ask("send peer1 0 0 10 0 5000"), "sent");
        for _ in 0..5 {
            assert_eq!(survivor.ask("join survivor true"), "joined");
            assert_eq!(survivor.ask("send peer0 3 0"), "sent");
            assert_eq!(survivor.ask("leave"), "left");
            nothing_is_left_in(&mut survivor);
        }
        others.into_iter().for_each(Peer::finish);
        nothing_is_left_in(&mut survivor);
        survivor.finish();
    }
}

#[test]
fn g10_nothing_is_left_in_a_process_that_leaves_after_all_others_were_killed() {
    for affinity in [true, false] {
        let bus = Bus::new();
        let (mut survivor, others) = survivor_among_others(&bus, affinity);
        others.iter().for_each(|peer| peer.signal(Signal::KILL));
        drop(others);
        assert_eq!(survivor.ask("leave"), "left");
        nothing_is_left_in(&mut survivor);
        survivor.finish();
        assert_nothing_runs(&bus);
        assert_joins_at_once(&bus);
    }
}

#[test]
fn g10_nothing_is_left_in_a_process_that_leaves_while_all_others_are_killed() {
    for affinity in [true, false] {
        for _ in 0..5 {
            let bus = Bus::new();
            let (mut survivor, others) = survivor_among_others(&bus, affinity);
            survivor.tell("leave");
            others.iter().for_each(|peer| peer.signal(Signal::KILL));
            drop(others);
            survivor.expect("left");
            nothing_is_left_in(&mut survivor);
            survivor.finish();
            assert_joins_at_once(&bus);
        }
    }
}

#[test]
fn g10_nothing_is_left_in_a_process_of_several_endpoints() {
    let bus = Bus::new();
    let mut survivor = start_survivor(&bus);
    for _ in 0..10 {
        assert_eq!(survivor.ask("join survivor true"), "joined");
    }
    for _ in 0..3 {
        assert_eq!(survivor.ask("send survivor 3 0"), "sent");
        assert_eq!(survivor.ask(&format!("send nobody 2 {HOUR}")), "sent");
    }
    assert_eq!(survivor.ask("leave"), "left");
    nothing_is_left_in(&mut survivor);
    survivor.finish();
    assert_nothing_runs(&bus);
    assert_joins_at_once(&bus);
}

#[test]
fn g10_nothing_is_left_of_a_join_that_fails() {
    let bus = Bus::new();
    let candidate = bus.peer("candidate", &[]);
    candidate.expect("joined");
    let mut survivor = start_survivor(&bus);
    for _ in 0..20 {
        assert_eq!(survivor.ask("misjoin"), "failed");
    }
    nothing_is_left_in(&mut survivor);
    survivor.finish();
    candidate.finish();
}

#[test]
fn g10_those_who_come_and_go_leave_nothing_in_those_who_stay() {
    const ROUNDS: usize = 60;
    let bus = Bus::new();
    // Two who read all that they get, one of them the controller; one who does not receive, and
    // one who could, but gets nothing.
    let mut controller = start_survivor(&bus);
    assert_eq!(controller.ask("join controller true"), "joined");
    let mut reader = start_survivor(&bus);
    assert_eq!(reader.ask("join reader true"), "joined");
    let mut deaf = bus.peer("attachments", &["deaf"]);
    deaf.expect("joined");
    assert_eq!(deaf.ask("deafen"), "deaf");
    let mut silent = bus.peer("attachments", &["silent"]);
    silent.expect("joined");
    let pids = [&controller, &reader, &deaf, &silent].map(Peer::pid);
    let mut round = |kill: bool| {
        let mut comes = peer(&bus, 0);
        for talker in [&mut deaf, &mut silent, &mut comes] {
            for to in ["peer0", "controller", "reader"] {
                let order = format!("send {to} 3 2 1000 0 5000");
                assert_eq!(talker.ask(&order), "sent");
            }
        }
        match kill {
            true => comes.kill(),
            false => comes.finish(),
        }
    };
    let mut descriptors = || {
        for reader in [&mut controller, &mut reader] {
            assert_eq!(reader.ask("drain"), "drained");
        }
        pids.map(proc::descriptors)
    };
    // After the first it takes a moment until all have heard that it left.
    round(true);
    let mut first = descriptors();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        let now = descriptors();
        if now != first {
            (first, since) = (now, Instant::now());
        }
    }
    for number in 0..ROUNDS {
        round(number % 2 == 0);
        descriptors();
    }
    let mut last = first;
    eventually("no more descriptors", true, || {
        last = descriptors();
        last.iter().zip(&first).all(|(last, first)| last <= first)
    });
    println!("descriptors of those who stay: {first:?}, {ROUNDS} rounds later {last:?}");
    let all = [controller, reader, deaf, silent];
    all.into_iter().for_each(Peer::finish);
}

/// Peers with all sorts of things under way: messages in lanes, a message that is half in a lane,
/// messages that are parked, objects and regions in all of them.
/// The controller is stopped when somebody leaves, and killed before it goes on. Nothing tells the next one that somebody
/// has left: the process lives.
#[test]
fn g10_who_leaves_unheard_is_not_on_the_bus_with_the_next_controller() {
    const LONG: Duration = Duration::from_secs(5);
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let next = bus.peer("candidate", &[]);
    next.expect("joined");
    let join = |label| {
        let options = bus.options(label).with_controller_affinity(false);
        ipmb::join::<(), ()>(options, Some(DEADLINE)).unwrap()
    };
    let (_staying, leaving) = (join(label!("staying")), join(label!("leaving")));
    controller.signal(Signal::STOP);
    eventually("it is stopped", true, || proc::is_stopped(controller.pid()));
    drop(leaving);
    let start = Instant::now();
    controller.signal(Signal::KILL);
    // It joins when there is a controller again.
    let another = bus.peer("candidate", &[]);
    another.expect("joined");
    let observer = Raw::join(&bus.path(), "observer", 7).unwrap();
    eventually("it is on the bus", true, || {
        observer.find("staying").is_ok()
    });
    eventually("it has left", true, || observer.find("leaving").is_err());
    assert!(
        start.elapsed() < LONG,
        "it was waited for: {:?}",
        start.elapsed()
    );
}

fn busy_peers(bus: &Bus, count: usize) -> Vec<Peer> {
    let mut peers: Vec<Peer> = (0..count).map(|number| peer(bus, number)).collect();
    for peer in &mut peers {
        for to in 0..count {
            for bytes in [10, 30_000] {
                let order = format!("send peer{to} 3 2 {bytes} 0 5000");
                assert_eq!(peer.ask(&order), "sent");
            }
        }
        for objects in [0, 20] {
            let order = format!("send late {objects} 3 1000 {HOUR} 5000");
            assert_eq!(peer.ask(&order), "sent");
        }
        assert_eq!(
            peer.ask(&format!("send late 1 1 200000 {HOUR} 5000")),
            "sent"
        );
    }
    for (from, peer) in peers.iter_mut().enumerate() {
        let to = (from + 1) % count;
        // It does not come to an end.
        peer.tell(&format!("send peer{to} 300 10 20000000 0 60000"));
    }
    peers
}

fn peer(bus: &Bus, number: usize) -> Peer {
    let peer = bus.peer("attachments", &[&format!("peer{number}")]);
    peer.expect("joined");
    peer
}

/// A process whose endpoints have sent and received and have more to receive, and the others.
/// With affinity, it is the controller.
fn survivor_among_others(bus: &Bus, affinity: bool) -> (Peer, Vec<Peer>) {
    let mut survivor = start_survivor(bus);
    let join = format!("join survivor {affinity}");
    if affinity {
        assert_eq!(survivor.ask(&join), "joined");
    }
    let mut others: Vec<Peer> = (0..3).map(|number| peer(bus, number)).collect();
    if !affinity {
        assert_eq!(survivor.ask(&join), "joined");
    }
    for (number, other) in others.iter_mut().enumerate() {
        for _ in 0..4 {
            let order = "send survivor 3 2 1000 0 5000";
            assert_eq!(other.ask(order), "sent");
        }
        assert_eq!(survivor.ask(&format!("send peer{number} 5 0")), "sent");
        assert_eq!(
            survivor.ask(&format!("send nobody{number} 3 {HOUR}")),
            "sent"
        );
    }
    assert_eq!(survivor.ask("recv 7"), "received");
    (survivor, others)
}

fn start_survivor(bus: &Bus) -> Peer {
    let mut survivor = bus.peer("survivor", &[]);
    survivor.expect("ready");
    assert_eq!(survivor.ask("ready?"), "ready");
    survivor
}

fn nothing_is_left_in(survivor: &mut Peer) {
    // The thread of an endpoint may end a moment after the endpoint.
    eventually("what is left", "nothing".to_owned(), || {
        survivor.ask("look")
    });
}

fn assert_nothing_runs(bus: &Bus) {
    let path = bus.path();
    assert_eq!(proc::started_with(path.to_str().unwrap()), []);
}

/// Joins, on a bus on which there is nobody and nothing. Returns how long it took.
fn assert_joins_at_once(bus: &Bus) -> Duration {
    let start = Instant::now();
    let options = bus.options(label!("late", "peer0"));
    let (_sender, receiver) =
        ipmb::join::<(), BytesMessage>(options, Some(DEADLINE)).expect("joins");
    let time = start.elapsed();
    assert!(time < Duration::from_secs(5), "{time:?}");
    assert!(receiver.try_recv().unwrap().is_none());
    assert_eq!(receiver.statistics(), Default::default());
    time
}

fn report(when: &str, joins: &[Duration]) {
    let mut sorted = joins.to_vec();
    sorted.sort_unstable();
    let (median, worst) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    println!(
        "{} joins when {when}: median {median:.1?}, worst {worst:.1?}",
        joins.len()
    );
}

/// The names and numbers of what is in the runtime directory: at most an empty lock file and a
/// socket.
fn runtime_files(bus: &Bus) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(bus.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let found = entry.metadata().unwrap();
        assert_eq!(found.len(), 0, "{name}");
        match name.rsplit('.').next() {
            Some("lock") => assert!(found.file_type().is_fifo()),
            Some("sock") => assert!(found.file_type().is_socket()),
            _ => panic!("{name} is left"),
        }
        files.insert(name, found.ino());
    }
    assert!(files.len() <= 2, "{files:?}");
    files
}

fn lock_file((name, number): (&String, &u64)) -> Option<u64> {
    name.ends_with(".lock").then_some(*number)
}

/// What is in /dev/shm.
struct SharedMemory(BTreeSet<String>);

impl SharedMemory {
    fn now() -> Self {
        let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        Self(names.collect())
    }

    fn assert_unchanged(&self) {
        let now = Self::now();
        let new: Vec<_> = now.0.difference(&self.0).collect();
        assert!(new.is_empty(), "{new:?} in /dev/shm");
    }
}

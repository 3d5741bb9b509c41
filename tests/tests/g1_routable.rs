//! G1: whatever is sent after `join` has returned reaches the endpoint, ttl 0 or not.

use ipmb::{EndpointSender, Label, Message, Selector, label};
use ipmb_core::{EndpointId, Record};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    failover::Controllers,
    proc::is_stopped,
    raw::{self, Belongings, Raw},
};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::PathBuf,
    time::Instant,
};

const ROUNDS: u32 = 5000;

#[test]
fn g1_a_child_that_joins_is_routable() {
    let bus = Bus::new();
    // The parent is the controller.
    let (sender, _receiver) =
        ipmb::join::<u64, ()>(bus.options(label!("parent")), Some(DEADLINE)).unwrap();
    let joiner = Joiner::start(&bus, ROUNDS, 1, false);
    joiner.answer_all(&sender, |_| {});
}

#[test]
fn g1_a_child_that_joins_is_routable_at_once_for_those_who_do_not_serve() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let (sender, _receiver) =
        ipmb::join::<u64, ()>(bus.options(label!("parent")), Some(DEADLINE)).unwrap();
    let joiner = Joiner::start(&bus, ROUNDS, 1, true);
    joiner.answer_all(&sender, |_| {});
    controller.finish();
}

#[test]
fn g1_several_endpoints_of_a_process_that_join_at_once_are_routable() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let (sender, _receiver) =
        ipmb::join::<u64, ()>(bus.options(label!("parent")), Some(DEADLINE)).unwrap();
    let joiner = Joiner::start(&bus, ROUNDS / 4, 4, true);
    joiner.answer_all(&sender, |_| {});
    controller.finish();
}

#[test]
fn g1_who_joins_while_the_controller_changes_is_routable() {
    const EVERY: u32 = 200;
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let options = bus
        .options(label!("parent"))
        .with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<u64, ()>(options, Some(DEADLINE)).unwrap();
    let joiner = Joiner::start(&bus, ROUNDS / 4, 4, false);
    let start = Instant::now();
    let mut kills = 0;
    joiner.answer_all(&sender, |answered| {
        if answered.is_multiple_of(EVERY) {
            // Not waited for: what is sent and joined next meets a bus without a controller.
            controllers.kill();
            kills += 1;
        } else if answered % EVERY == EVERY / 2 {
            controllers.replace();
        }
    });
    println!("{ROUNDS} joins and {kills} kills in {:?}", start.elapsed());
}

#[test]
fn g1_who_has_given_up_is_not_routable() {
    const HASTY: u64 = 9;
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let observer = Raw::join(&bus.path(), "observer", 7).unwrap();
    let hasty = raw::admitted(&bus.path()).unwrap();
    controller.signal(Signal::STOP);
    // Each of its threads takes notice for itself.
    let end = Instant::now() + DEADLINE;
    while !is_stopped(controller.pid()) {
        assert!(Instant::now() < end, "it stops");
        std::thread::yield_now();
    }
    let belongings = Belongings::honest().unwrap();
    raw::register(&hasty, Label::from(["hasty"]), HASTY, belongings).unwrap();
    drop(hasty);
    controller.signal(Signal::CONT);
    // Served in the order in which they came.
    let last = Raw::join(&bus.path(), "last", 10).unwrap();
    let who = |record: Record| match record {
        Record::Join(member) => Some(member.id),
        _ => None,
    };
    let came = observer.history().unwrap().into_iter().filter_map(who);
    let came: Vec<EndpointId> = came.collect();
    assert!(came.contains(&last.id), "{came:?}");
    assert!(!came.contains(&EndpointId(HASTY)), "{came:?}");
}

/// A child that joins again and again, and the pipe on which it says so.
struct Joiner {
    peer: Peer,
    pipe: PathBuf,
    joins: u32,
}

impl Joiner {
    fn start(bus: &Bus, rounds: u32, threads: u32, affinity: bool) -> Self {
        let pipe = bus.path().with_extension("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let peer = bus.peer(
            "joiner",
            &[
                "child",
                pipe.to_str().unwrap(),
                &rounds.to_string(),
                &threads.to_string(),
                &affinity.to_string(),
            ],
        );
        Self {
            peer,
            pipe,
            joins: rounds * threads,
        }
    }

    /// Sends a number to each endpoint that says it has joined, at once and with a ttl of 0.
    fn answer_all(self, sender: &EndpointSender<u64>, mut after: impl FnMut(u32)) {
        let mut pipe = File::open(&self.pipe).unwrap();
        let start = Instant::now();
        for answered in 1..=self.joins {
            let mut number = [0; 8];
            match pipe.read_exact(&mut number) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    panic!(
                        "after {answered} joins the child says: {}",
                        self.peer.line()
                    )
                }
                Err(error) => panic!("the pipe: {error}"),
            }
            let number = u64::from_le_bytes(number);
            let name = format!("child-{}-{}", number >> 32, number as u32);
            sender
                .send(Message::new(Selector::unicast(name), number))
                .unwrap();
            after(answered);
        }
        self.peer.expect("done");
        println!(
            "{} joins, {:?} each",
            self.joins,
            start.elapsed() / self.joins
        );
        self.peer.finish();
    }
}

//! G12: whoever has a doorbell can do to its object what its owner can. Nothing that he does keeps those awake or
//! asleep who share it with him.

use ipmb::{EndpointReceiver, EndpointSender, Message, Selector, TrySendError, label};
use ipmb_sys::{ChannelRecvError, OwnedObject, wait_readable};
use ipmb_tests::{
    Bus, DEADLINE,
    proc::{State, eventually, thread_state},
    raw::{Pair, Raw, packet},
    readiness::poll_for,
};
use rustix::fs::{OFlags, fcntl_setfl};
use std::{
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

const ROUNDS: u64 = 200;

/// Threads that take all that there is to take out of a doorbell.
struct Thieves {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Thieves {
    fn at(doorbell: OwnedObject) -> Self {
        fcntl_setfl(&doorbell, OFlags::NONBLOCK).unwrap();
        let (over, doorbell) = (Arc::new(AtomicBool::new(false)), Arc::new(doorbell));
        let thief = || {
            let (over, doorbell) = (Arc::clone(&over), Arc::clone(&doorbell));
            thread::spawn(move || {
                let mut taken = 0;
                while !over.load(Relaxed) {
                    taken += u64::from(rustix::io::read(&doorbell, &mut [0; 8]).is_ok());
                }
                taken
            })
        };
        let threads = vec![thief(), thief()];
        Self { over, threads }
    }

    fn end(self) -> u64 {
        self.over.store(true, Relaxed);
        let threads = self.threads.into_iter();
        threads.map(|thread| thread.join().unwrap()).sum()
    }
}

fn gettid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// A thread that does something again and again, of its own because it may never end if the test fails: its id, when to
/// do it, and what comes of it.
struct Worker<T> {
    thread: u32,
    go: Sender<()>,
    begun: Receiver<()>,
    done: Receiver<T>,
}

impl<T: Send + 'static> Worker<T> {
    fn new(mut work: impl FnMut() -> T + Send + 'static) -> Self {
        let ((go, goes), (does, done)) = (mpsc::channel(), mpsc::channel());
        let ((tell, told), (begins, begun)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            tell.send(gettid()).unwrap();
            while goes.recv().is_ok() && begins.send(()).is_ok() && does.send(work()).is_ok() {}
        });
        let thread = told.recv().unwrap();
        Self {
            thread,
            go,
            begun,
            done,
        }
    }

    /// Has it begin, and waits until it sleeps.
    fn begin(&self) {
        self.go.send(()).unwrap();
        self.begun.recv().unwrap();
        eventually("it sleeps", State::Sleeping, || thread_state(self.thread));
    }

    fn end(&self, what: &str) -> T {
        let Ok(done) = self.done.recv_timeout(DEADLINE) else {
            panic!("{what}: nobody woke it");
        };
        done
    }
}

fn join(bus: &Bus, label: &str) -> (EndpointSender<u64>, EndpointReceiver<u64>) {
    // It sleeps at once.
    let options = bus
        .options(label!(label))
        .with_spin(std::time::Duration::ZERO);
    let options = options.with_inbox_budget(64 << 10);
    ipmb::join(options, Some(DEADLINE)).unwrap()
}

fn to(label: &str, number: u64) -> Message<u64> {
    Message::new(Selector::unicast(label), number)
}

#[test]
fn g12_who_takes_the_rings_for_a_receiver_keeps_no_message_from_it() {
    let bus = Bus::new();
    let (_, receiver) = join(&bus, "victim");
    let receiver = Arc::new(receiver);
    let (sender, replies) = join(&bus, "sender");
    sender.send(to("victim", 0)).unwrap();
    assert_eq!(receiver.recv(Some(DEADLINE)).unwrap().payload, 0);
    let mut raw = Raw::join(&bus.path(), "thief", 7).unwrap();
    let victim = raw.find("victim").unwrap();
    let Pair {
        doorbell,
        channel: _channel,
        ..
    } = raw.meet(victim, false).unwrap();
    let thieves = Thieves::at(doorbell);

    let way = |timeout| {
        let receiver = Arc::clone(&receiver);
        Worker::new(move || receiver.recv(timeout).unwrap().payload)
    };
    let mut ways = vec![
        ("recv", way(None)),
        ("recv with a timeout", way(Some(DEADLINE))),
    ];
    let watching = Arc::clone(&receiver);
    let poller = Worker::new(move || {
        loop {
            // A ring that comes late makes it readable once more.
            assert!(poll_for(&watching, DEADLINE));
            if let Some(message) = watching.try_recv().unwrap() {
                return message.payload;
            }
        }
    });
    // From the first look at its descriptor on, it is another way.
    ways.push(("a poll of the descriptor", poller));
    for (what, way) in &ways {
        for number in 1..=ROUNDS {
            way.begin();
            sender.send(to("victim", number)).unwrap();
            assert_eq!(way.end(what), number);
        }
    }
    println!("{} rings were taken", thieves.end());
    drop(replies);
}

#[test]
fn g12_who_takes_the_rings_for_an_asker_keeps_no_reply_from_it() {
    let bus = Bus::new();
    let (asker, _receiver) = join(&bus, "asker");
    let (answers, questions) = join(&bus, "asked");
    thread::spawn(move || {
        while let Ok(question) = questions.recv(None) {
            // Not before the other sleeps.
            let thread = u32::try_from(question.payload).unwrap();
            eventually("it sleeps", State::Sleeping, || thread_state(thread));
            let _ = answers.reply(question.reply_to().unwrap(), question.payload);
        }
    });
    let ask = Worker::new(move || {
        let mut pending = asker.request(to("asked", gettid().into())).unwrap();
        pending.wait::<u64>(None).unwrap().payload
    });
    ask.go.send(()).unwrap();
    ask.end("before");
    let mut raw = Raw::join(&bus.path(), "thief", 7).unwrap();
    let victim = raw.find("asker").unwrap();
    let pair = raw.meet(victim, false).unwrap();
    let thieves = Thieves::at(pair.doorbell);
    for _ in 0..ROUNDS {
        ask.go.send(()).unwrap();
        assert_eq!(ask.end("a request"), ask.thread.into());
    }
    println!("{} rings were taken", thieves.end());
}

/// The doorbell for room that a sender offers with its first lane.
fn room_of(raw: &mut Raw) -> (Pair, OwnedObject) {
    let pair = loop {
        let (message, objects) = raw.hear(DEADLINE).unwrap().expect("an introduction");
        if matches!(message, ipmb_core::ToMember::Introduced { .. }) {
            break Pair::new(objects).unwrap();
        }
    };
    loop {
        let (mut bytes, mut objects) = (Vec::new(), Vec::new());
        match pair.channel.try_recv(&mut bytes, &mut objects) {
            Ok(()) if bytes[0] == packet::LANE => return (pair, objects.pop().unwrap()),
            Ok(()) => {}
            Err(ChannelRecvError::Empty) => {
                assert!(wait_readable(pair.channel.as_fd(), Some(DEADLINE)).unwrap());
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn g12_who_takes_the_rings_for_room_keeps_no_sender_asleep() {
    let bus = Bus::new();
    let (_, receiver) = join(&bus, "receiver");
    let (sender, _replies) = join(&bus, "sender");
    let mut raw = Raw::join(&bus.path(), "thief", 7).unwrap();
    sender.send(to("thief", 0)).unwrap();
    let (_pair, room) = room_of(&mut raw);
    let thieves = Thieves::at(room);
    let blocked = {
        let sender = sender.clone();
        Worker::new(move || sender.send(to("receiver", u64::MAX)).unwrap())
    };
    // The first contact is made.
    sender.send(to("receiver", 0)).unwrap();
    for _ in 0..ROUNDS / 2 {
        loop {
            match sender.try_send(to("receiver", 0)) {
                Ok(()) => {}
                Err(TrySendError { reason, .. }) => {
                    assert!(matches!(reason, ipmb::SendError::WouldBlock), "{reason}");
                    break;
                }
            }
        }
        blocked.begin();
        while receiver.recv(Some(DEADLINE)).unwrap().payload != u64::MAX {}
        blocked.end("a message for which there was no room");
    }
    println!("{} rings were taken", thieves.end());
}

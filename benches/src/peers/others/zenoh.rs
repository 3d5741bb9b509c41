//! zenoh: two or more peers that know each other's Unix sockets.
//!
//! It puts large messages into shared memory, and on a loaded machine some of them are lost there, with
//! "Buffer is invalidated" in its log. Its issue 2628 says why: a watchdog takes back what a receiver
//! has not come to look at in time. We have found no setting against it.

use crate::{
    Result,
    message::{Checker, Phase},
    peers::{Peer, Role, Seat},
    work::Task,
};
use std::{mem::ManuallyDrop, path::Path, thread, time::Duration};
use zenoh::{
    Config, Session, Wait,
    bytes::ZBytes,
    handlers::{FifoChannel, FifoChannelHandler},
    pubsub::{Publisher, Subscriber},
    qos::CongestionControl,
    sample::Sample,
    shm::cleanup_orphaned_shm_segments,
};

/// From here on they are in shared memory (`message_size_threshold`, the default).
const SHARED: usize = 3072;
/// The default.
const QUEUE: usize = 256;

pub(crate) struct Zenoh {
    publisher: Publisher<'static>,
    subscriber: Subscriber<FifoChannelHandler<Sample>>,
    /// Not closed: that might throw away what has not been sent yet.
    _session: ManuallyDrop<Session>,
}

/// A message in one piece.
pub(crate) enum Received {
    Whole(ZBytes),
    Joined(Vec<u8>),
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes.slices().next().unwrap_or_default(),
            Self::Joined(bytes) => bytes,
        }
    }
}

impl Zenoh {
    fn next(&self) -> Result<Received> {
        let bytes = self.subscriber.recv()?.payload().clone();
        Ok(if bytes.slices().count() == 1 {
            Received::Whole(bytes)
        } else {
            Received::Joined(bytes.to_bytes().into_owned())
        })
    }
}

impl Peer for Zenoh {
    const NAME: &'static str = "zenoh";
    const ABOUT: &'static str =
        "peers on Unix sockets; only below 3 KiB, where it does not use shared memory";

    type Received<'a> = Received;

    fn refuses(task: &Task) -> Option<&'static str> {
        (task.size >= SHARED).then_some(
            "under load it loses messages in shared memory, where it puts them from 3 KiB on",
        )
    }

    fn connect(seat: &Seat) -> Result<Self> {
        let session = zenoh::open(config(seat)?).wait()?;
        let (own, others) = match seat.role {
            Role::Receiver => ("bench/receivers", "bench/senders"),
            Role::Sender => ("bench/senders", "bench/receivers"),
        };
        let subscriber = session
            .declare_subscriber(own)
            .with(FifoChannel::new(QUEUE))
            .wait()?;
        let publisher = session
            .declare_publisher(others)
            .congestion_control(CongestionControl::Block)
            .wait()?;
        let there = |receiver| format!("bench/there/{receiver}");
        match seat.role {
            Role::Receiver => {
                let token = session
                    .declare_subscriber(there(seat.index))
                    .callback(|_| {});
                token.background().wait()?;
            }
            // Subscriptions come in order: who has told of this one has told of the other.
            Role::Sender => {
                for receiver in 0..seat.receivers {
                    let probe = session.declare_publisher(there(receiver)).wait()?;
                    while !probe.matching_status().wait()?.matching() {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        }
        seat.ready()?;
        Ok(Self {
            publisher,
            subscriber,
            _session: ManuallyDrop::new(session),
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.publisher.put(message).wait()
    }

    fn receive(&mut self) -> Result<Received> {
        self.next()
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let sample = self.subscriber.recv()?;
        let phase = checker.check(&sample.payload().to_bytes())?;
        self.publisher.put(sample.payload().clone()).wait()?;
        Ok(phase)
    }

    fn clean_up(_directory: &Path) {
        // It makes some shared memory whether messages go there or not.
        cleanup_orphaned_shm_segments();
    }
}

/// Unicast between sockets of the measurement's own, and nothing that looks for others.
fn config(seat: &Seat) -> Result<Config> {
    let endpoint = |role: Role, index: usize| {
        let directory = seat.directory.display();
        format!("\"unixsock-stream/{directory}/{role:?}-{index}\"")
    };
    let connect: Vec<String> = match seat.role {
        Role::Receiver => Vec::new(),
        Role::Sender => (0..seat.receivers)
            .map(|it| endpoint(Role::Receiver, it))
            .collect(),
    };
    let listen = endpoint(seat.role, seat.index);
    let mut config = Config::default();
    for (key, value) in [
        ("mode", "\"peer\""),
        ("scouting/multicast/enabled", "false"),
        ("scouting/gossip/enabled", "false"),
        ("listen/endpoints", &format!("[{listen}]")),
        ("connect/endpoints", &format!("[{}]", connect.join(","))),
        ("transport/shared_memory/enabled", "true"),
    ] {
        config.insert_json5(key, value)?;
    }
    Ok(config)
}

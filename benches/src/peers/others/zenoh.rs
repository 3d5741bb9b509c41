//! zenoh: two or more peers that know each other's Unix sockets, with shared memory.

use crate::{
    Result,
    message::{Checker, Phase},
    peers::{Fill, Look, Offer, Peer, Role, Seat},
};
use std::{mem::ManuallyDrop, path::Path, thread, time::Duration};
use zenoh::{
    Config, Session, Wait,
    bytes::ZBytes,
    handlers::{FifoChannel, FifoChannelHandler},
    pubsub::{Publisher, Subscriber},
    qos::CongestionControl,
    sample::Sample,
    shm::{
        BlockOn, GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder, ZShmMut,
        cleanup_orphaned_shm_segments,
    },
};

/// From here on zenoh itself would put messages into shared memory (`message_size_threshold`).
const SHARED: usize = 3072;
/// Shared memory for messages on their way, or for four of the largest.
const POOL: usize = 64 << 20;
/// The default.
const QUEUE: usize = 256;

pub(crate) struct Zenoh {
    publisher: Publisher<'static>,
    subscriber: Subscriber<FifoChannelHandler<Sample>>,
    pool: Option<ShmProvider<PosixShmProviderBackend>>,
    /// Not closed: that might throw away what has not been sent yet.
    _session: ManuallyDrop<Session>,
}

/// A message in one piece. In shared memory it lies there.
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
    fn loan(&self, size: usize) -> Result<Option<ZShmMut>> {
        let Some(pool) = &self.pool else {
            return Ok(None);
        };
        let loan = pool.alloc(size).with_policy::<BlockOn<GarbageCollect>>();
        Ok(Some(loan.wait()?))
    }

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
        "peers on Unix sockets; from 3 KiB on in shared memory, read where it lies";
    const OFFERS: &'static [Offer] = &[Offer::Loans];

    type Received<'a> = Received;

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
        let pool = if seat.size >= SHARED {
            let backend = PosixShmProviderBackend::builder(POOL.max(4 * seat.size)).wait()?;
            Some(ShmProviderBuilder::backend(backend).wait())
        } else {
            None
        };
        seat.ready()?;
        Ok(Self {
            publisher,
            subscriber,
            pool,
            _session: ManuallyDrop::new(session),
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        let bytes = match self.loan(message.len())? {
            Some(mut loan) => {
                loan.copy_from_slice(message);
                ZBytes::from(loan)
            }
            None => ZBytes::from(message),
        };
        self.publisher.put(bytes).wait()
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

    fn send_loaned(&mut self, size: usize, fill: Fill<'_>) -> Result<()> {
        let mut loan = self.loan(size)?.ok_or("it is not for so small messages")?;
        fill(&mut loan);
        self.publisher.put(ZBytes::from(loan)).wait()
    }

    fn receive_view(&mut self, look: Look<'_>) -> Result<()> {
        look(self.next()?.as_ref())
    }

    fn clean_up(_directory: &Path) {
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
        // What is to lie in shared memory is written there in the first place.
        (
            "transport/shared_memory/transport_optimization/enabled",
            "false",
        ),
    ] {
        config.insert_json5(key, value)?;
    }
    Ok(config)
}

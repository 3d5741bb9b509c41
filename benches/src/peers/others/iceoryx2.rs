//! iceoryx2: publish-subscribe of byte slices, a service each way. With events, the receiver sleeps on
//! a listener that the sender notifies after each message; without, it polls.

use crate::{
    Result,
    message::{Checker, Phase},
    peers::{Fill, Look, Offer, Peer, Role, Seat},
};
use iceoryx2::{
    config::Config,
    node::{Node, NodeBuilder},
    port::{
        backpressure_strategy::BackpressureStrategy, listener::Listener, notifier::Notifier,
        publisher::Publisher, subscriber::Subscriber, update_connections::UpdateConnections,
    },
    prelude::{
        FileName, LogLevel, Path as IoxPath, PortFactory, SemanticString, SignalHandlingMode,
        ipc::Service, set_log_level,
    },
    sample::Sample,
};
use std::{fs, hint, path::Path, thread};

/// Messages that a subscriber's buffer takes: it has 2 by default. Large ones are fewer, and stay in
/// the cache: that is faster.
const QUEUE: usize = 1024;
const QUEUED_BYTES: usize = 64 << 10;
/// How often it polls before it lets others have the core.
const POLLS: u32 = 10_000;

pub(crate) struct Iceoryx2<const EVENTS: bool> {
    publisher: Publisher<Service, [u8], ()>,
    subscriber: Subscriber<Service, [u8], ()>,
    bell: Option<(Notifier<Service>, Listener<Service>)>,
    _node: Node<Service>,
}

pub(crate) struct Received(Sample<Service, [u8], ()>);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self.0.payload()
    }
}

impl<const EVENTS: bool> Iceoryx2<EVENTS> {
    fn next(&self) -> Result<Received> {
        let mut polls = 0;
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                return Ok(Received(sample));
            }
            match &self.bell {
                Some((_, listener)) => {
                    listener.blocking_wait(|_| {})?;
                }
                None if polls < POLLS => {
                    polls += 1;
                    hint::spin_loop();
                }
                None => thread::yield_now(),
            }
        }
    }

    fn ring(&self) -> Result<()> {
        if let Some((notifier, _)) = &self.bell {
            notifier.notify()?;
        }
        Ok(())
    }
}

impl<const EVENTS: bool> Peer for Iceoryx2<EVENTS> {
    const NAME: &'static str = if EVENTS {
        "iceoryx2-events"
    } else {
        "iceoryx2"
    };
    const ABOUT: &'static str = if EVENTS {
        "as iceoryx2, but the receiver sleeps on a listener, notified after each message"
    } else {
        "publish-subscribe of byte slices, polling; written into a loan, read where it lies"
    };
    const OFFERS: &'static [Offer] = &[Offer::Loans];

    type Received<'a> = Received;

    fn connect(seat: &Seat) -> Result<Self> {
        set_log_level(LogLevel::Error);
        let mut config = Config::default();
        let root = seat.directory.to_string_lossy();
        config.global.set_root_path(&IoxPath::new(root.as_bytes())?);
        config.global.prefix = FileName::new(prefix(&seat.directory).as_bytes())?;
        let node = NodeBuilder::new()
            .config(&config)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<Service>()?;

        let processes = seat.receivers + seat.senders;
        let queue = (QUEUED_BYTES / seat.size).clamp(4, QUEUE);
        let way = |role: Role| {
            let service = node.service_builder(&format!("to {role:?}").as_str().try_into()?);
            let service = service
                .publish_subscribe::<[u8]>()
                .enable_safe_overflow(false)
                .subscriber_max_buffer_size(queue)
                .max_publishers(processes)
                .max_subscribers(processes)
                .max_nodes(processes)
                .open_or_create()?;
            Ok::<_, crate::Failure>(service)
        };
        let bells = |role: Role| {
            let service = node.service_builder(&format!("wake {role:?}").as_str().try_into()?);
            let service = service
                .event()
                .max_notifiers(processes)
                .max_listeners(processes)
                .max_nodes(processes)
                .open_or_create()?;
            Ok::<_, crate::Failure>(service)
        };
        let other = match seat.role {
            Role::Receiver => Role::Sender,
            Role::Sender => Role::Receiver,
        };
        let bell = if EVENTS {
            let notifier = bells(other)?.notifier_builder().create()?;
            let listener = bells(seat.role)?.listener_builder().create()?;
            Some((notifier, listener))
        } else {
            None
        };
        let (inward, outward) = (way(seat.role)?, way(other)?);
        let peer = Self {
            publisher: outward
                .publisher_builder()
                .initial_max_slice_len(seat.size)
                .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
                .create()?,
            subscriber: inward.subscriber_builder().create()?,
            bell,
            _node: node,
        };
        // A publisher waits for room only with subscribers that have noticed it: what does not fit
        // before that is lost. So receivers tell senders that they have.
        match seat.role {
            Role::Receiver => {
                seat.ready()?;
                while inward.dynamic_config().number_of_publishers() < seat.senders
                    || outward.dynamic_config().number_of_subscribers() < seat.senders
                {
                    thread::yield_now();
                }
                peer.subscriber.update_connections()?;
                peer.publisher.update_connections()?;
                peer.publisher
                    .loan_slice_uninit(0)?
                    .write_from_slice(&[])
                    .send()?;
            }
            Role::Sender => {
                for _ in 0..seat.receivers {
                    while peer.subscriber.receive()?.is_none() {
                        thread::yield_now();
                    }
                }
                seat.ready()?;
            }
        }
        Ok(peer)
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        let loan = self.publisher.loan_slice_uninit(message.len())?;
        loan.write_from_slice(message).send()?;
        self.ring()
    }

    fn receive(&mut self) -> Result<Received> {
        self.next()
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let message = self.next()?;
        let phase = checker.check(message.as_ref())?;
        self.send(message.as_ref())?;
        Ok(phase)
    }

    fn send_loaned(&mut self, size: usize, fill: Fill<'_>) -> Result<()> {
        let loan = self.publisher.loan_slice_uninit(size)?;
        // SAFETY: any bytes are bytes, and this memory was zeroed by the kernel when it was new.
        let mut loan = unsafe { loan.assume_init() };
        fill(loan.payload_mut());
        loan.send()?;
        self.ring()
    }

    fn receive_view(&mut self, look: Look<'_>) -> Result<()> {
        look(self.next()?.as_ref())
    }

    fn clean_up(directory: &Path) {
        let prefix = prefix(directory);
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// What the names of its shared memory begin with, which can be in one place only.
fn prefix(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default();
    format!("{}_", name.to_string_lossy())
}

//! zbus: method calls through a bus, or signals where there are several receivers.

mod broker;

use crate::{
    Result,
    message::{Checker, Phase},
    peers::{Peer, Role, Seat},
    work::Task,
};
use serde_bytes::Bytes;
use std::{future::poll_fn, mem::ManuallyDrop, num::NonZero, pin::Pin};
use zbus::{
    Connection, MessageStream, block_on,
    connection::Builder,
    export::futures_core::Stream,
    message::{Body, Flags, Message, Type},
};

const PATH: &str = "/com/example/Bench";
const INTERFACE: &str = "com.example.Bench";
/// A message; one that the receiver is to answer with a credit; that.
const NEXT: &str = "Next";
const NEXT_OF_MANY: &str = "NextOfMany";
const CREDIT: &str = "Credit";

/// Messages from one credit to the next: more than come in the second that a receiver may be stalled
/// for. Large ones are fewer.
const BATCH: usize = 8192;
const BATCH_BYTES: usize = 16 << 20;
/// Messages that zbus reads ahead.
const QUEUE: NonZero<usize> = NonZero::new(1024).unwrap();

/// A bus has no backpressure: it throws out who does not keep up. So a sender is no more than two
/// batches ahead.
pub(crate) struct Zbus {
    connection: Connection,
    stream: MessageStream,
    /// Whom to send to. None: all that listen to signals.
    other: Option<String>,
    batch: usize,
    receivers: usize,
    sent: usize,
    credits: usize,
    /// The broker's, which others may need after this process is done: never dropped.
    _controller: Option<ManuallyDrop<Connection>>,
}

pub(crate) struct Received(Body);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        // What is no array of bytes is no message: the check says so.
        self.0.deserialize::<&[u8]>().unwrap_or_default()
    }
}

impl Zbus {
    async fn connect(seat: &Seat) -> Result<Self> {
        let place = seat.directory.join("bus");
        let first = seat.role == Role::Receiver && seat.index == 0;
        let controller = if first {
            Some(ManuallyDrop::new(broker::start(&place).await?))
        } else {
            None
        };
        let batch = (BATCH_BYTES / seat.size).clamp(1, BATCH);
        let name = |role: Role, index: usize| format!("com.example.{role:?}{index}");
        let address = format!("unix:path={}", place.display());
        let connection = Builder::address(address.as_str())
            .max_queued(QUEUE)
            .name(name(seat.role, seat.index))
            .build()
            .await?;
        let stream = MessageStream::from(&connection);
        let other = match seat.role {
            Role::Receiver => Some(name(Role::Sender, 0)),
            Role::Sender if seat.receivers == 1 => Some(name(Role::Receiver, 0)),
            Role::Sender => None,
        };
        if seat.role == Role::Receiver && seat.receivers > 1 {
            let bus = "org.freedesktop.DBus";
            let rule = format!("type='signal',interface='{INTERFACE}'");
            let call = connection.call_method(
                Some(bus),
                "/org/freedesktop/DBus",
                Some(bus),
                "AddMatch",
                &rule,
            );
            call.await?;
        }
        Ok(Self {
            connection,
            stream,
            other,
            batch,
            receivers: seat.receivers,
            sent: 0,
            credits: 0,
            _controller: controller,
        })
    }

    async fn send_bytes(&mut self, message: &[u8]) -> Result<()> {
        self.sent += 1;
        let asks = self.sent.is_multiple_of(self.batch);
        let member = if asks { NEXT_OF_MANY } else { NEXT };
        let message = match &self.other {
            Some(other) => Message::method_call(PATH, member)
                .with_flags(Flags::NO_REPLY_EXPECTED)
                .interface(INTERFACE)
                .destination(other.as_str())
                .build(&Bytes::new(message))?,
            None => Message::signal(PATH, INTERFACE, member).build(&Bytes::new(message))?,
        };
        self.connection.send(&message).await?;
        // Those for the batch before the one that was sent now.
        let due = self.receivers * (self.sent / self.batch).saturating_sub(1);
        while asks && self.credits < due {
            self.next().await?;
        }
        Ok(())
    }

    /// The next message, if it is not a credit or the bus's own.
    async fn next(&mut self) -> Result<Option<Received>> {
        let next = poll_fn(|context| Pin::new(&mut self.stream).poll_next(context)).await;
        let message = next.ok_or("the bus is gone")??;
        let header = message.header();
        if header.interface().is_none_or(|it| it.as_str() != INTERFACE) {
            return match header.message_type() {
                Type::Error => Err(format!("the bus says {header:?}").into()),
                _ => Ok(None),
            };
        }
        match header.member().map(|it| it.as_str()) {
            Some(CREDIT) => {
                self.credits += 1;
                return Ok(None);
            }
            Some(NEXT_OF_MANY) => {
                let sender = header.sender().ok_or("a message from nobody")?;
                let credit = Message::method_call(PATH, CREDIT)
                    .with_flags(Flags::NO_REPLY_EXPECTED)
                    .interface(INTERFACE)
                    .destination(sender)
                    .build(&())?;
                self.connection.send(&credit).await?;
            }
            _ => {}
        }
        Ok(Some(Received(message.body())))
    }

    async fn message(&mut self) -> Result<Received> {
        loop {
            if let Some(message) = self.next().await? {
                return Ok(message);
            }
        }
    }
}

impl Peer for Zbus {
    const NAME: &'static str = "zbus";
    const ABOUT: &'static str = "method calls without reply, or signals to several, through a \
        dbus-broker of its own; now and then one asks for a credit, as a bus has no backpressure";

    type Received<'a> = Received;

    fn refuses(_task: &Task) -> Option<&'static str> {
        (!broker::is_installed())
            .then_some("there is no dbus-broker: install it, e.g. apt-get install dbus-broker")
    }

    fn connect(seat: &Seat) -> Result<Self> {
        let peer = block_on(Self::connect(seat))?;
        seat.ready()?;
        Ok(peer)
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        block_on(self.send_bytes(message))
    }

    fn receive(&mut self) -> Result<Received> {
        block_on(self.message())
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let message = self.receive()?;
        let phase = checker.check(message.as_ref())?;
        self.send(message.as_ref())?;
        Ok(phase)
    }
}

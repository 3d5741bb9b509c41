//! ZeroMQ (libzmq): PAIR sockets, or where there are several senders, PUSH sockets to a PULL socket.
//!
//! A PUB socket sends to many in one call, but drops what does not fit into a queue.

use crate::{
    Result,
    message::{Checker, Phase},
    peers::{Peer, Role, Seat},
};
use std::mem::ManuallyDrop;
use zmq::{Context, Message, PAIR, PULL, PUSH, Socket};

/// Messages in a queue: the default. Large ones are fewer, lest they fill the memory.
const QUEUE: usize = 1000;
const QUEUED_BYTES: usize = 32 << 20;

/// A receiver's socket, or a sender's for each receiver. They are not closed: though that lingers by
/// default, the last messages of several senders did not always come when they were.
pub(crate) struct Zeromq(ManuallyDrop<Vec<Socket>>);

pub(crate) struct Received(Message);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Zeromq {
    fn first(&self) -> Result<&Socket> {
        self.0.first().ok_or_else(|| "there is no receiver".into())
    }
}

impl Peer for Zeromq {
    const NAME: &'static str = "zeromq";
    const ABOUT: &'static str =
        "libzmq over ipc://, PAIR to PAIR, or PUSH to PULL from several senders; queues of 1000";

    type Received<'a> = Received;

    fn connect(seat: &Seat) -> Result<Self> {
        let context = Context::new();
        let queue = (QUEUED_BYTES / seat.size).clamp(2, QUEUE) as i32;
        let address = |receiver| format!("ipc://{}/{receiver}", seat.directory.display());
        let socket = |kind| -> Result<Socket> {
            let kind = if seat.senders == 1 { PAIR } else { kind };
            let socket = context.socket(kind)?;
            socket.set_sndhwm(queue)?;
            socket.set_rcvhwm(queue)?;
            Ok(socket)
        };
        let mut sockets = Vec::new();
        match seat.role {
            Role::Receiver => {
                let socket = socket(PULL)?;
                socket.bind(&address(seat.index))?;
                sockets.push(socket);
            }
            Role::Sender => {
                for receiver in 0..seat.receivers {
                    let socket = socket(PUSH)?;
                    socket.connect(&address(receiver))?;
                    sockets.push(socket);
                }
            }
        }
        seat.ready()?;
        Ok(Self(ManuallyDrop::new(sockets)))
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        for socket in self.0.iter() {
            socket.send(message, 0)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Received> {
        Ok(Received(self.first()?.recv_msg(0)?))
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let message = self.first()?.recv_msg(0)?;
        let phase = checker.check(&message)?;
        self.first()?.send(message, 0)?;
        Ok(phase)
    }
}

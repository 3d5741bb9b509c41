//! ipc-channel: each process has a channel of bytes, whose sending end it gives to all others.

use crate::{
    Result,
    message::{Checker, Phase},
    peers::{Peer, Role, Seat},
};
use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel, channel,
};
use std::fs;

pub(crate) struct IpcChannel {
    incoming: IpcBytesReceiver,
    outgoing: Vec<IpcBytesSender>,
}

/// What a sender says to a receiver: where to send to, and where to give the receiver's own to.
type Greeting = (IpcBytesSender, IpcSender<IpcBytesSender>);

impl Peer for IpcChannel {
    const NAME: &'static str = "ipc-channel";
    const ABOUT: &'static str = "a channel of bytes to each process (Unix sockets); owned Vec out";

    type Received<'a> = Vec<u8>;

    fn connect(seat: &Seat) -> Result<Self> {
        // Its sockets have names there.
        let _ = tempfile::env::override_temp_dir(&seat.directory);
        let (own, incoming) = bytes_channel()?;
        let place = |receiver, sender| seat.directory.join(format!("name-{receiver}-{sender}"));
        let mut outgoing = Vec::new();
        match seat.role {
            Role::Receiver => {
                let mut servers = Vec::new();
                for sender in 0..seat.senders {
                    let (server, name) = IpcOneShotServer::<Greeting>::new()?;
                    fs::write(place(seat.index, sender), name)?;
                    servers.push(server);
                }
                seat.ready()?;
                for server in servers {
                    let (_, (sender, reply)) = server.accept()?;
                    reply.send(own.clone())?;
                    outgoing.push(sender);
                }
            }
            Role::Sender => {
                for receiver in 0..seat.receivers {
                    let name = fs::read_to_string(place(receiver, seat.index))?;
                    let (reply, answer) = channel()?;
                    IpcSender::<Greeting>::connect(name)?.send((own.clone(), reply))?;
                    outgoing.push(answer.recv()?);
                }
                seat.ready()?;
            }
        }
        Ok(Self { incoming, outgoing })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        for sender in &self.outgoing {
            sender.send(message)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        Ok(self.incoming.recv()?)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let message = self.receive()?;
        let phase = checker.check(&message)?;
        self.send(&message)?;
        Ok(phase)
    }
}

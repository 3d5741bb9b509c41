//! Ours, through its public interface and with its defaults.

use super::{Peer, Role, Seat};
use crate::{
    Result,
    message::{Checker, Phase},
};
use ipmb::{BytesMessage, EndpointReceiver, EndpointSender, Message, Options, Selector, label};

pub(crate) struct Ipmb {
    sender: EndpointSender<BytesMessage>,
    receiver: EndpointReceiver<BytesMessage>,
    others: &'static str,
    several: bool,
}

impl Ipmb {
    fn send_owned(&self, payload: BytesMessage) -> Result<()> {
        let selector = if self.several {
            Selector::multicast(self.others)
        } else {
            Selector::unicast(self.others)
        };
        let message = Message::new(selector, payload);
        Ok(self.sender.send(message)?)
    }
}

impl Peer for Ipmb {
    const NAME: &'static str = "ipmb";
    const ABOUT: &'static str =
        "this: join, send, recv of a BytesMessage; multicast to several; the receivers join first";

    type Received<'a> = Vec<u8>;

    fn connect(seat: &Seat) -> Result<Self> {
        let (own, others, several) = match seat.role {
            Role::Receiver => ("receiver", "sender", false),
            Role::Sender => ("sender", "receiver", seat.receivers > 1),
        };
        let options = Options::new("com.example.bench", label!(own), "")
            .with_runtime_directory(seat.directory.join("bus"));
        let (sender, receiver) = ipmb::join(options, None)?;
        seat.ready()?;
        Ok(Self {
            sender,
            receiver,
            others,
            several,
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.send_owned(BytesMessage {
            format: 0,
            data: message.to_vec(),
        })
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        Ok(self.receiver.recv(None)?.payload.data)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let payload = self.receiver.recv(None)?.payload;
        let phase = checker.check(&payload.data)?;
        self.send_owned(payload)?;
        Ok(phase)
    }
}

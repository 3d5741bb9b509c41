//! ipmb 0.8.5. The first to join is its controller, through which every message goes: here that
//! is the first receiver, which spares messages to it one of the two hops that others have.

use super::{Peer, Role, Seat};
use crate::{
    Result,
    message::{Checker, Phase},
    work::Task,
};
use ipmb08::{BytesMessage, EndpointReceiver, EndpointSender, Label, Message, Options, Selector};

/// Above it, `send` tries for ever, or what it sent is lost.
const LARGEST: usize = 128 << 10;

pub(crate) struct Ipmb08 {
    sender: EndpointSender<BytesMessage>,
    receiver: EndpointReceiver<BytesMessage>,
    others: &'static str,
    several: bool,
}

impl Ipmb08 {
    fn send_owned(&self, payload: BytesMessage) -> Result<()> {
        let selector = if self.several {
            Selector::multicast(self.others)
        } else {
            Selector::unicast(self.others)
        };
        let message = Message::new(selector, payload);
        self.sender
            .send(message)
            .map_err(|it| it.to_string().into())
    }

    fn receive_owned(&mut self) -> Result<BytesMessage> {
        let message = self.receiver.recv(None).map_err(|it| it.to_string())?;
        Ok(message.payload)
    }
}

impl Peer for Ipmb08 {
    const NAME: &'static str = "ipmb-0.8.5";
    const ABOUT: &'static str =
        "what we replace, in the same way; its controller is the first receiver";

    type Received<'a> = Vec<u8>;

    fn refuses(task: &Task) -> Option<&'static str> {
        (task.size > LARGEST).then_some("it hangs on messages over 128 KiB, or loses them")
    }

    fn connect(seat: &Seat) -> Result<Self> {
        let (own, others, several) = match seat.role {
            Role::Receiver => ("receiver", "sender", false),
            Role::Sender => ("sender", "receiver", seat.receivers > 1),
        };
        // Its name is one for the whole machine.
        let name = seat.directory.to_string_lossy().into_owned();
        let options = Options::new(name, Label::from([own]), "");
        let (sender, receiver) = ipmb08::join(options, None).map_err(|it| it.to_string())?;
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
        Ok(self.receive_owned()?.data)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let payload = self.receive_owned()?;
        let phase = checker.check(&payload.data)?;
        self.send_owned(payload)?;
        Ok(phase)
    }
}

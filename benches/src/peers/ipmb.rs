//! Ours, through its public interface and with its defaults.

use super::{Fill, Look, Offer, Peer, Role, Seat};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    work::Work,
};
use ipmb::{
    Bytes, BytesMessage, EndpointReceiver, EndpointSender, MemoryRegion, MemoryRegistry, Message,
    MessageBox, Object, Options, Selector, label,
};
use std::os::fd::{BorrowedFd, OwnedFd};

pub(crate) struct Ipmb {
    ends: Ends,
    others: Selector,
    /// What is sent again and again, with other content.
    next: Message<BytesMessage>,
    regions: MemoryRegistry,
}

enum Ends {
    Messages(EndpointSender<BytesMessage>, EndpointReceiver<BytesMessage>),
    /// For the work with loans.
    Loans(EndpointSender<Load>, EndpointReceiver<Load>),
}

#[derive(MessageBox)]
enum Load {
    Message(BytesMessage),
    Lent(Bytes),
}

impl Ipmb {
    fn message(&self, data: Vec<u8>) -> Message<BytesMessage> {
        Message::new(self.others.clone(), BytesMessage { format: 0, data })
    }

    fn send_message(&self, message: Message<BytesMessage>) -> Result<()> {
        match &self.ends {
            Ends::Messages(sender, _) => Ok(sender.send(message)?),
            Ends::Loans(sender, _) => {
                let load = Load::Message(message.payload);
                Ok(sender.send(Message::new(self.others.clone(), load))?)
            }
        }
    }

    fn receive_message(&self) -> Result<Message<BytesMessage>> {
        match &self.ends {
            Ends::Messages(_, receiver) => Ok(receiver.recv(None)?),
            Ends::Loans(_, receiver) => match receiver.recv(None)?.payload {
                Load::Message(message) => Ok(Message::new(self.others.clone(), message)),
                Load::Lent(_) => Err("something was lent that should not be".into()),
            },
        }
    }
}

impl Peer for Ipmb {
    const NAME: &'static str = "ipmb";
    const ABOUT: &'static str =
        "this: join, send, recv of a BytesMessage; multicast to several; the receivers join first";
    const OFFERS: &'static [Offer] = &[
        Offer::Loans,
        Offer::Regions,
        Offer::Objects,
        Offer::Requests,
        Offer::Join,
        Offer::Failover,
    ];

    type Received<'a> = Vec<u8>;

    fn connect(seat: &Seat) -> Result<Self> {
        let (own, others) = match seat.role {
            Role::Receiver => ("receiver", Selector::unicast("sender")),
            Role::Sender if seat.receivers > 1 => ("sender", Selector::multicast("receiver")),
            Role::Sender => ("sender", Selector::unicast("receiver")),
        };
        let options = Options::new("com.example.bench", label!(own), "")
            .with_runtime_directory(seat.directory.join("bus"));
        let ends = if seat.work == Work::Loans {
            let (sender, receiver) = ipmb::join(options, None)?;
            Ends::Loans(sender, receiver)
        } else {
            let (sender, receiver) = ipmb::join(options, None)?;
            Ends::Messages(sender, receiver)
        };
        seat.ready()?;
        let next = Message::new(
            others.clone(),
            BytesMessage {
                format: 0,
                data: Vec::new(),
            },
        );
        Ok(Self {
            ends,
            others,
            next,
            regions: MemoryRegistry::default(),
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        let Ends::Messages(sender, _) = &self.ends else {
            return self.send_message(self.message(message.to_vec()));
        };
        self.next.payload.data.clear();
        self.next.payload.data.extend_from_slice(message);
        Ok(sender.send_ref(&self.next)?)
    }

    fn send_next(&mut self, stamper: &mut Stamper, phase: Phase) -> Result<()> {
        let Ends::Messages(sender, _) = &self.ends else {
            return self.send(stamper.stamp(phase));
        };
        let data = &mut self.next.payload.data;
        match data.len() == stamper.size() {
            true => stamper.stamp_into(data, phase),
            false => *data = stamper.stamp(phase).to_vec(),
        }
        Ok(sender.send_ref(&self.next)?)
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        match &self.ends {
            Ends::Messages(_, receiver) => Ok(receiver.recv(None)?.payload.data),
            Ends::Loans(..) => Ok(self.receive_message()?.payload.data),
        }
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let Ends::Messages(sender, receiver) = &self.ends else {
            return Err("nothing was to be sent back".into());
        };
        self.next.payload = receiver.recv(None)?.payload;
        let phase = checker.check(&self.next.payload.data)?;
        sender.send_ref(&self.next)?;
        Ok(phase)
    }

    fn send_loaned(&mut self, size: usize, fill: Fill<'_>) -> Result<()> {
        let Ends::Loans(sender, _) = &self.ends else {
            return Err("nothing was to be lent".into());
        };
        let mut loan = sender.loan(size)?;
        fill(&mut loan);
        let load = Load::Lent(loan.freeze());
        Ok(sender.send(Message::new(self.others.clone(), load))?)
    }

    fn receive_view(&mut self, look: Look<'_>) -> Result<()> {
        let Ends::Loans(_, receiver) = &self.ends else {
            return Err("nothing was to be lent".into());
        };
        match receiver.recv(None)?.payload {
            Load::Lent(bytes) if bytes.is_shared() => look(&bytes),
            _ => Err("a message was copied that should not be".into()),
        }
    }

    fn send_region(&mut self, size: usize, fresh: bool, fill: Fill<'_>) -> Result<()> {
        let mut region = if fresh {
            MemoryRegion::new(size)
        } else {
            self.regions.alloc(size, None)
        };
        fill(region.map(..size)?);
        let mut message = self.message(Vec::new());
        message.memory_regions.push(region);
        self.send_message(message)
    }

    fn receive_region(&mut self, look: Look<'_>) -> Result<()> {
        let mut message = self.receive_message()?;
        let region = message.memory_regions.first_mut();
        look(region.ok_or("a message came without its region")?.map(..)?)
    }

    fn send_object(&mut self, message: &[u8], object: BorrowedFd<'_>) -> Result<()> {
        let mut message = self.message(message.to_vec());
        let object = object.try_clone_to_owned()?;
        message.objects.push(Object::from(object));
        self.send_message(message)
    }

    fn receive_object(&mut self, look: Look<'_>) -> Result<OwnedFd> {
        let mut message = self.receive_message()?;
        look(&message.payload.data)?;
        let object = message.objects.pop();
        Ok(object.ok_or("a message came without its object")?.into())
    }

    fn request(&mut self, message: &[u8], look: Look<'_>) -> Result<()> {
        let Ends::Messages(sender, _) = &self.ends else {
            return Err("nothing was to be asked".into());
        };
        let mut pending = sender.request(self.message(message.to_vec()))?;
        let reply = pending.wait::<BytesMessage>(None)?;
        look(&reply.payload.data)
    }

    fn reply(&mut self, checker: &mut Checker) -> Result<Phase> {
        let Ends::Messages(sender, receiver) = &self.ends else {
            return Err("nothing was to be asked".into());
        };
        let request = receiver.recv(None)?;
        let phase = checker.check(&request.payload.data)?;
        let asker = request.reply_to().ok_or("a message is no request")?;
        sender.reply(asker, request.payload)?;
        Ok(phase)
    }
}

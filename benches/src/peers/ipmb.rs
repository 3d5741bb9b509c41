//! Ours, through its public interface and with its defaults.

use super::{Fill, Look, Offer, Peer, Role, Seat};
use crate::{
    Result,
    message::{Checker, Phase},
};
use ipmb::{
    BytesMessage, EndpointReceiver, EndpointSender, MemoryRegion, MemoryRegistry, Message, Object,
    Options, Selector, label,
};
use std::os::fd::{BorrowedFd, OwnedFd};

pub(crate) struct Ipmb {
    sender: EndpointSender<BytesMessage>,
    receiver: EndpointReceiver<BytesMessage>,
    others: Selector,
    regions: MemoryRegistry,
}

impl Ipmb {
    fn message(&self, data: Vec<u8>) -> Message<BytesMessage> {
        Message::new(self.others.clone(), BytesMessage { format: 0, data })
    }
}

impl Peer for Ipmb {
    const NAME: &'static str = "ipmb";
    const ABOUT: &'static str =
        "this: join, send, recv of a BytesMessage; multicast to several; the receivers join first";
    const OFFERS: &'static [Offer] =
        &[Offer::Regions, Offer::Objects, Offer::Join, Offer::Failover];

    type Received<'a> = Vec<u8>;

    fn connect(seat: &Seat) -> Result<Self> {
        let (own, others) = match seat.role {
            Role::Receiver => ("receiver", Selector::unicast("sender")),
            Role::Sender if seat.receivers > 1 => ("sender", Selector::multicast("receiver")),
            Role::Sender => ("sender", Selector::unicast("receiver")),
        };
        let options = Options::new("com.example.bench", label!(own), "")
            .with_runtime_directory(seat.directory.join("bus"));
        let (sender, receiver) = ipmb::join(options, None)?;
        seat.ready()?;
        Ok(Self {
            sender,
            receiver,
            others,
            regions: MemoryRegistry::default(),
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.sender.send(self.message(message.to_vec()))?)
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        Ok(self.receiver.recv(None)?.payload.data)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let data = self.receive()?;
        let phase = checker.check(&data)?;
        self.sender.send(self.message(data))?;
        Ok(phase)
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
        Ok(self.sender.send(message)?)
    }

    fn receive_region(&mut self, look: Look<'_>) -> Result<()> {
        let mut message = self.receiver.recv(None)?;
        let region = message.memory_regions.first_mut();
        look(region.ok_or("a message came without its region")?.map(..)?)
    }

    fn send_object(&mut self, message: &[u8], object: BorrowedFd<'_>) -> Result<()> {
        let mut message = self.message(message.to_vec());
        let object = object.try_clone_to_owned()?;
        message.objects.push(Object::from(object));
        Ok(self.sender.send(message)?)
    }

    fn receive_object(&mut self, look: Look<'_>) -> Result<OwnedFd> {
        let mut message = self.receiver.recv(None)?;
        look(&message.payload.data)?;
        let object = message.objects.pop();
        Ok(object.ok_or("a message came without its object")?.into())
    }
}

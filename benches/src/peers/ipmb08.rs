//! ipmb 0.8.5. The first to join is its controller, through which every message goes. Here that is
//! the first receiver, which spares messages to it a hop; or, where one sends to several, the
//! sender.
//!
//! Anything else would not do: a message that its controller passes on from one process to another
//! goes with a control part that was never written, and is mostly lost, with the connection.

use super::{Fill, Look, Offer, Peer, Role, Seat};
use crate::{
    Result,
    message::{Checker, Phase},
    work::{Task, Work},
};
use ipmb08::{
    BytesMessage, EndpointReceiver, EndpointSender, Label, MemoryRegion, MemoryRegistry, Message,
    Object, Options, Selector,
};
use std::{
    fs,
    os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
    thread,
    time::Duration,
};

/// Above it, `send` tries for ever, or what it sent is lost.
const LARGEST: usize = 128 << 10;

pub(crate) struct Ipmb08 {
    sender: EndpointSender<BytesMessage>,
    receiver: EndpointReceiver<BytesMessage>,
    others: &'static str,
    several: bool,
    regions: MemoryRegistry,
}

impl Ipmb08 {
    fn message(&self, data: Vec<u8>) -> Message<BytesMessage> {
        let selector = if self.several {
            Selector::multicast(self.others)
        } else {
            Selector::unicast(self.others)
        };
        Message::new(selector, BytesMessage { format: 0, data })
    }

    fn send_message(&self, message: Message<BytesMessage>) -> Result<()> {
        self.sender
            .send(message)
            .map_err(|it| it.to_string().into())
    }

    fn receive_message(&mut self) -> Result<Message<BytesMessage>> {
        self.receiver.recv(None).map_err(|it| it.to_string().into())
    }
}

impl Peer for Ipmb08 {
    const NAME: &'static str = "ipmb-0.8.5";
    const ABOUT: &'static str = "what we replace, in the same way; its controller is the first receiver, or in fan-out the sender";
    const OFFERS: &'static [Offer] =
        &[Offer::Regions, Offer::Objects, Offer::Join, Offer::Failover];

    type Received<'a> = Vec<u8>;

    fn refuses(task: &Task) -> Option<&'static str> {
        let regions = matches!(task.work, Work::RegionsFresh | Work::RegionsRecycled);
        if task.size > LARGEST && !regions {
            return Some("it hangs on messages over 128 KiB, or loses them");
        }
        (task.receivers > 1 && task.senders > 1)
            .then_some("it loses what its controller passes on between others")
    }

    fn connect(seat: &Seat) -> Result<Self> {
        let (own, others, several) = match seat.role {
            Role::Receiver => ("receiver", "sender", false),
            Role::Sender => ("sender", "receiver", seat.receivers > 1),
        };
        // Its name is one for the whole machine.
        let name = seat.directory.to_string_lossy().into_owned();
        let mut options = Options::new(name, Label::from([own]), "");
        let sender_controls = matches!(seat.work, Work::FanOut | Work::Stalled | Work::Footprint);
        let place = |receiver| seat.directory.join(format!("joined-{receiver}"));
        if sender_controls && seat.role == Role::Receiver {
            // It can join only when the sender has.
            seat.ready()?;
            options.controller_affinity = false;
        }
        let (sender, receiver) = ipmb08::join(options, None).map_err(|it| it.to_string())?;
        match seat.role {
            _ if !sender_controls => seat.ready()?,
            Role::Receiver => fs::write(place(seat.index), "")?,
            Role::Sender => {
                while !(0..seat.receivers).all(|it| place(it).exists()) {
                    thread::sleep(Duration::from_millis(1));
                }
                seat.ready()?;
            }
        }
        Ok(Self {
            sender,
            receiver,
            others,
            several,
            regions: MemoryRegistry::default(),
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.send_message(self.message(message.to_vec()))
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        Ok(self.receive_message()?.payload.data)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        let data = self.receive()?;
        let phase = checker.check(&data)?;
        self.send_message(self.message(data))?;
        Ok(phase)
    }

    fn send_region(&mut self, size: usize, fresh: bool, fill: Fill<'_>) -> Result<()> {
        let region = if fresh {
            MemoryRegion::new(size)
        } else {
            self.regions.alloc(size, None)
        };
        let mut region = region.ok_or("there is no memory for a region")?;
        fill(region.map(..size).map_err(|it| it.to_string())?);
        let mut message = self.message(Vec::new());
        message.memory_regions.push(region);
        self.send_message(message)
    }

    fn receive_region(&mut self, look: Look<'_>) -> Result<()> {
        let mut message = self.receive_message()?;
        let region = message.memory_regions.first_mut();
        let region = region.ok_or("a message came without its region")?;
        look(region.map(..).map_err(|it| it.to_string())?)
    }

    fn send_object(&mut self, message: &[u8], object: BorrowedFd<'_>) -> Result<()> {
        let mut message = self.message(message.to_vec());
        let object = object.try_clone_to_owned()?.into_raw_fd();
        // SAFETY: it was ours, and has just been given up.
        message.objects.push(unsafe { Object::from_raw(object) });
        self.send_message(message)
    }

    fn receive_object(&mut self, look: Look<'_>) -> Result<OwnedFd> {
        let mut message = self.receive_message()?;
        look(&message.payload.data)?;
        let object = message.objects.pop();
        let object = object.ok_or("a message came without its object")?;
        // SAFETY: the object was ours, and gives its descriptor up.
        Ok(unsafe { OwnedFd::from_raw_fd(object.into_raw()) })
    }
}

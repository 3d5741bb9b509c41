//! What a member does all the time: a bit of everything.

use super::{
    bare::Bare,
    member::{self, MEMBERS, Shared, lock},
    parcel::Parcel,
};
use ipmb::{Bytes, EndpointSender, MemoryRegion, MemoryRegistry, Message, Selector, label};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// How many were sent to each member.
pub(super) struct Sent(pub(super) [u64; MEMBERS as usize]);

/// So many small messages are sent in each round.
const SMALL: u64 = 20;
/// Large messages are of one of these sizes, loans and regions of a part of them: what is recycled fits soon.
const SIZES: [usize; 3] = [60_000, 300_000, 2 << 20];
/// Between two rounds: the processor is for others, too.
const REST: Duration = Duration::from_millis(15);
/// What is parked waits so long at most; far longer than anybody needs.
const TTL: Duration = Duration::from_secs(3600);

pub(super) struct Load {
    me: u64,
    sender: EndpointSender<Parcel>,
    directory: PathBuf,
    shared: Arc<Shared>,
    sent: Sent,
    registry: MemoryRegistry,
    dice: u64,
    bare: Bare,
}

impl Load {
    pub(super) fn new(
        me: u64,
        sender: EndpointSender<Parcel>,
        directory: PathBuf,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            me,
            sender,
            directory,
            shared,
            sent: Sent([0; MEMBERS as usize]),
            registry: MemoryRegistry::default(),
            dice: me + 1,
            bare: Bare::start(),
        }
    }

    pub(super) fn run(mut self) -> Sent {
        for round in 0.. {
            if self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
            for _ in 0..SMALL {
                let bytes = self.roll(200);
                self.send(bytes, |_, _| {});
            }
            match round % 8 {
                0 => self.send_large(),
                1 => self.send_objects(),
                2 => self.send_region(true),
                3 => self.send_region(false),
                4 => self.send_loan(),
                5 => self.send_to_all(),
                6 => self.send_to_victim(),
                _ => self.park_and_join(),
            }
            self.ask();
            let took = self.bare.round_trip();
            lock(&self.shared.bare).add(took);
            thread::sleep(REST);
        }
        self.sent
    }

    /// To one of the members, with so many bytes and whatever is put in.
    fn send(&mut self, bytes: u64, add: impl FnOnce(&mut Self, &mut Message<Parcel>)) {
        let to = self.roll(MEMBERS);
        let bytes = vec![self.dice as u8; bytes as usize];
        self.send_bytes(to, bytes.into(), add);
    }

    fn send_bytes(
        &mut self,
        to: u64,
        bytes: Bytes,
        add: impl FnOnce(&mut Self, &mut Message<Parcel>),
    ) {
        let mut selector = Selector::unicast(format!("member{to}"));
        selector.ttl = TTL;
        let number = &mut self.sent.0[to as usize];
        let parcel = Parcel::new(self.me, Some(*number), bytes);
        *number += 1;
        let mut message = Message::new(selector, parcel);
        add(self, &mut message);
        self.must(message);
    }

    fn must(&self, message: Message<Parcel>) {
        if let Err(error) = self.sender.send(message) {
            member::fail(&format!("a message cannot be sent: {error}"));
        }
    }

    fn send_large(&mut self) {
        let bytes = SIZES[self.roll(3) as usize] as u64;
        self.send(bytes, |_, _| {});
    }

    fn send_objects(&mut self) {
        let count = 1 + self.roll(5);
        self.send(100, |_, message| add_objects(message, count));
    }

    fn send_region(&mut self, recycled: bool) {
        let size = SIZES[self.roll(3) as usize] / 8;
        self.send(10, |load, message| {
            let mut region = match recycled {
                true => load.registry.alloc(size, None),
                false => MemoryRegion::new(size),
            };
            region.map(..1).expect("memory")[0] = load.me as u8;
            message.payload.regions = 1;
            message.memory_regions.push(region);
        });
        self.registry.maintain();
    }

    fn send_loan(&mut self) {
        let len = SIZES[self.roll(3) as usize] / 4;
        let mut loan = self.sender.loan(len).expect("memory");
        loan.fill(self.dice as u8);
        let to = self.roll(MEMBERS);
        self.send_bytes(to, loan.freeze(), |_, _| {});
    }

    /// Numbers differ by receiver, so nobody counts these.
    fn send_to_all(&mut self) {
        let parcel = Parcel::new(self.me, None, vec![3; 300].into());
        self.must(Message::new(Selector::multicast(member::LABEL), parcel));
    }

    /// It may be dead, or die meanwhile.
    fn send_to_victim(&mut self) {
        let mut selector = Selector::unicast("victim");
        selector.ttl = Duration::ZERO;
        let parcel = Parcel::new(self.me, None, vec![4; 5000].into());
        let mut message = Message::new(selector, parcel);
        add_objects(&mut message, 2);
        message.payload.regions = 1;
        message.memory_regions.push(self.registry.alloc(5000, None));
        let _ = self.sender.send(message);
    }

    /// A message for somebody who comes later, gets it, and leaves.
    fn park_and_join(&mut self) {
        let name = format!("late{}", self.me);
        let mut selector = Selector::unicast(&name);
        selector.ttl = TTL;
        let parcel = Parcel::new(self.me, None, vec![5; 1000].into());
        self.must(Message::new(selector, parcel));
        let options = ipmb_tests::options(&self.directory, label!(name));
        let options = options.with_controller_affinity(false);
        let joined = ipmb::join::<(), Parcel>(options, None);
        let (_sender, receiver) = joined.unwrap_or_else(|error| member::fail(&error.to_string()));
        match receiver.recv(None) {
            Ok(message) if message.payload.is_whole() => {}
            Ok(_) => member::fail("a parked message is damaged"),
            Err(error) => member::fail(&format!("a parked message does not come: {error}")),
        }
    }

    /// A request to the next member, and how long it takes.
    fn ask(&mut self) {
        let to = (self.me + 1) % MEMBERS;
        let selector = Selector::unicast(format!("member{to}"));
        let parcel = Parcel::new(self.me, None, vec![6; 32].into());
        let start = Instant::now();
        let reply = self.sender.request(Message::new(selector, parcel));
        let reply = reply.and_then(|mut pending| pending.wait::<Parcel>(None));
        match reply {
            Ok(message) if message.payload.is_whole() => {}
            Ok(_) => member::fail("a reply is damaged"),
            Err(error) => member::fail(&format!("no reply: {error}")),
        }
        lock(&self.shared.requests).add(start.elapsed());
    }

    /// A number below `limit`. (Marsaglia's xorshift)
    fn roll(&mut self, limit: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % limit
    }
}

fn add_objects(message: &mut Message<Parcel>, count: u64) {
    for _ in 0..count {
        let (read_end, _) = std::io::pipe().expect("descriptors");
        message
            .objects
            .push(std::os::fd::OwnedFd::from(read_end).into());
    }
    message.payload.objects = count;
}

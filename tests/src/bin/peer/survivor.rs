//! `survivor`: a process that outlives its endpoints, and looks whether they left something. It
//! is told:
//!
//! * `join LABEL AFFINITY`: joins once more; `joined`;
//! * `misjoin`: joins with a wrong token, and with a right one in no time; `failed`;
//! * `send LABEL COUNT TTL`: so many messages from each endpoint, each with an object and a
//!   memory region, or fewer if there is no room; `sent`;
//! * `recv COUNT`: receives so many with each endpoint, and keeps their attachments; `received`;
//! * `drain`: receives all that there is, and drops it; `drained`;
//! * `leave`: drops all endpoints and attachments; `left`;
//! * `look`: `nothing`, or what there is that was not there before the first join.

use super::{Job, hear, say};
use ipmb::{
    EndpointReceiver, EndpointSender, Error, MemoryRegion, MemoryRegistry, Message, MessageBox,
    Object, Selector, label,
};
use ipmb_tests::{DEADLINE, proc::Belongings};
use std::time::Duration;

/// Takes whatever comes.
struct Anything(Vec<u8>);

impl MessageBox for Anything {
    fn decode(_: [u8; 16], data: &[u8]) -> Result<Self, Error> {
        Ok(Self(data.to_vec()))
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(self.0.clone())
    }

    fn uuid(&self) -> [u8; 16] {
        *b"it means nothing"
    }
}

#[derive(Default)]
struct Survivor {
    endpoints: Vec<(EndpointSender<Anything>, EndpointReceiver<Anything>)>,
    registry: MemoryRegistry,
    objects: Vec<Object>,
    regions: Vec<MemoryRegion>,
}

pub(super) fn run(job: &Job) {
    say("ready");
    // What the first line that is heard takes is not ours.
    hear();
    let before = Belongings::of_this_process();
    let mut survivor = Survivor::default();
    say("ready");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().expect("a number");
        match words[..] {
            ["join", label, affinity] => {
                let options = job
                    .options(label!(label))
                    .with_inbox_budget(1)
                    .with_controller_affinity(affinity == "true");
                let endpoint = ipmb::join(options, Some(DEADLINE)).expect("joins");
                survivor.endpoints.push(endpoint);
                say("joined");
            }
            ["misjoin"] => {
                let mut options = job.options(label!());
                let none = Some(Duration::ZERO);
                // It may be in time all the same: then it leaves.
                drop(ipmb::join::<(), ()>(options.clone(), none));
                options.token = "another".into();
                let joined = ipmb::join::<(), ()>(options, Some(DEADLINE));
                joined.expect_err("the token is wrong");
                say("failed");
            }
            ["send", label, count, ttl] => {
                let ttl = Duration::from_millis(number(ttl));
                survivor.send(label, number(count), ttl);
                say("sent");
            }
            ["recv", count] => {
                survivor.receive(number(count));
                say("received");
            }
            ["drain"] => {
                for (_, receiver) in &survivor.endpoints {
                    while receiver.try_recv().expect("receives").is_some() {}
                }
                say("drained");
            }
            ["leave"] => {
                survivor = Survivor::default();
                say("left");
            }
            ["look"] => say(before.what_is_new()),
            _ => panic!("what is {line:?}?"),
        }
    }
}

impl Survivor {
    fn send(&mut self, label: &str, count: u64, ttl: Duration) {
        for (sender, _) in &self.endpoints {
            for size in 0..count {
                let mut selector = Selector::unicast(label);
                selector.ttl = ttl;
                let payload = Anything(vec![0; size as usize * 100]);
                let mut message = Message::new(selector, payload);
                let (read_end, write_end) = rustix::pipe::pipe().expect("descriptors");
                self.objects.push(read_end.into());
                message.objects.push(write_end.into());
                message.memory_regions.push(self.registry.alloc(5000, None));
                // There may be no room for it.
                let _ = sender.send_timeout(message, Duration::from_millis(100));
            }
        }
    }

    fn receive(&mut self, count: u64) {
        for (_, receiver) in &self.endpoints {
            for _ in 0..count {
                let mut message = receiver.recv(Some(DEADLINE)).expect("receives");
                for region in &mut message.memory_regions {
                    region.map(..).expect("a region");
                }
                self.objects.append(&mut message.objects);
                self.regions.append(&mut message.memory_regions);
            }
        }
    }
}

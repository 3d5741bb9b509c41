//! Many endpoints on one bus: how long things take there, and what each costs.

mod figures;
mod usage;

pub use figures::{DESCRIPTORS, Figure, Figures, MEMORY};
pub use usage::Usage;

use crate::{Bus, DEADLINE, Peer, proc};
use ipmb::{BytesMessage, EndpointReceiver, EndpointSender, Message, Selector, label};
use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

/// The label of all members.
pub const MEMBER: &str = "member";
/// So many processes they are in.
const PROCESSES: usize = 16;
/// So many join, one after the other, beside all others.
const JOINS: usize = 201;
/// So many messages go to all before, and so many after the controller is killed.
const MESSAGES: u64 = 10;
/// So often it may turn out that the bus is not idle, because of others.
const TRIES: usize = 3;
/// What has not happened for so long is over.
const SETTLED: Duration = Duration::from_millis(300);

/// Message number `number` to all.
fn message(number: u64) -> Message<BytesMessage> {
    let data = number.to_le_bytes().to_vec();
    Message::new(
        Selector::multicast(MEMBER),
        BytesMessage { format: 0, data },
    )
}

/// The number of a message to all.
pub fn number_of(message: &BytesMessage) -> u64 {
    let bytes = message.data.first_chunk().expect("it has a number");
    u64::from_le_bytes(*bytes)
}

/// A bus with many members, the controller and the speaker not counted.
pub struct Scale<'a> {
    bus: &'a Bus,
    controller: Peer,
    members: Vec<Peer>,
    count: usize,
    /// What the members used before they joined.
    before: Usage,
    speaker: EndpointSender<BytesMessage>,
    _receiver: EndpointReceiver<()>,
    said: u64,
    figures: Figures,
}

impl<'a> Scale<'a> {
    /// Does everything, with so many members, and looks whether it was right. Nothing is idle for
    /// less than `idle`.
    pub fn measure(bus: &Bus, count: usize, idle: Duration) -> Figures {
        let mut scale = Scale::join(bus, count);
        scale.stay_idle(idle);
        scale.join_beside();
        scale.look();
        scale.speak();
        scale.lose_the_controller();
        scale.leave();
        scale.figures
    }

    fn join(bus: &'a Bus, count: usize) -> Self {
        let controller = bus.peer("candidate", &[]);
        controller.expect("joined");
        let start = |index: usize| {
            let share = (count + index) / PROCESSES;
            bus.peer("members", &[&share.to_string(), &format!("process{index}")])
        };
        let members: Vec<Peer> = (0..PROCESSES).map(start).collect();
        members.iter().for_each(|peer| peer.expect("ready"));
        let options = bus.options(label!("speaker"));
        let options = options.with_controller_affinity(false);
        let (speaker, receiver) = ipmb::join(options, Some(DEADLINE)).expect("joins");
        let mut scale = Self {
            bus,
            controller,
            members,
            count,
            before: Usage::default(),
            speaker,
            _receiver: receiver,
            said: 0,
            figures: Figures::default(),
        };
        scale.before = scale.usage();
        let controller_before = Usage::of(scale.controller.pid());
        let took = scale.all("join", "joined");
        scale.settle();
        let used = scale.usage().since(&scale.before);
        let controller = Usage::of(scale.controller.pid()).since(&controller_before);
        let figures = &mut scale.figures;
        figures.time("all join", took, Some(Duration::from_secs(5)));
        figures.per_endpoint(&used, count);
        figures.controller(&controller, count);
        scale
    }

    /// Tells all of them something, and waits until all have said what they have to say to that.
    fn all(&mut self, line: &str, answer: &str) -> Duration {
        let start = Instant::now();
        self.members.iter_mut().for_each(|peer| peer.tell(line));
        self.members.iter().for_each(|peer| peer.expect(answer));
        start.elapsed()
    }

    fn usage(&self) -> Usage {
        let each = self.members.iter().map(|peer| Usage::of(peer.pid()));
        each.sum()
    }

    /// What each thread has done so far.
    fn activity(&self) -> Vec<BTreeMap<u32, proc::Activity>> {
        let peers = self.members.iter().chain([&self.controller]);
        peers.map(|peer| proc::activity(peer.pid())).collect()
    }

    /// Waits until nobody does anything.
    fn settle(&self) {
        let deadline = Instant::now() + DEADLINE;
        let mut before = self.activity();
        loop {
            thread::sleep(SETTLED);
            let now = self.activity();
            if now == before {
                return;
            }
            assert!(Instant::now() < deadline, "the members never settle");
            before = now;
        }
    }

    fn stay_idle(&mut self, time: Duration) {
        let runtime = |scale: &Self| -> (u64, u64) {
            let peers = scale.members.iter().chain([&scale.controller]);
            let threads = peers.flat_map(|peer| proc::activity(peer.pid()).into_values());
            threads.fold((0, 0), |sum, thread| {
                (sum.0 + thread.switches, sum.1 + thread.runtime)
            })
        };
        let mut done = (0, 0);
        // Who stops and continues all processes, as one does who needs the machine, wakes them.
        for _ in 0..TRIES {
            let before = runtime(self);
            thread::sleep(time);
            let after = runtime(self);
            done = (after.0 - before.0, after.1 - before.1);
            if done.0 == 0 {
                break;
            }
        }
        self.figures.idle(done.0, done.1, time);
    }

    fn join_beside(&mut self) {
        let mut times: Vec<Duration> = (0..JOINS)
            .map(|_| {
                let options = self.bus.options(label!("guest"));
                let options = options.with_controller_affinity(false);
                let start = Instant::now();
                let endpoint = ipmb::join::<(), ()>(options, Some(DEADLINE)).expect("joins");
                let took = start.elapsed();
                drop(endpoint);
                took
            })
            .collect();
        times.sort_unstable();
        let (median, worst) = (times[JOINS / 2], times[JOINS - 1]);
        let goal = Some(Duration::from_millis(2));
        self.figures
            .time("a join beside all others, median", median, goal);
        self.figures
            .time("a join beside all others, worst", worst, None);
    }

    /// The first messages to all, and how long they take. Each gets each exactly once.
    fn speak(&mut self) {
        for what in ["first", "next"] {
            let (sent, received) = self.say(1);
            self.figures
                .time(&format!("{what} multicast to all: sent"), sent, None);
            self.figures.time(
                &format!("{what} multicast to all: received"),
                received,
                None,
            );
        }
        self.all("nothing", "nothing");
    }

    /// Each of them has to know all others.
    fn look(&mut self) {
        self.all("look", "looked");
        let used = self.usage().since(&self.before);
        self.figures.that_looked(&used, self.count);
    }

    /// Sends so many to all; returns when they were sent and received.
    fn say(&mut self, count: u64) -> (Duration, Duration) {
        let expect = format!("expect {count}");
        self.members.iter_mut().for_each(|peer| peer.tell(&expect));
        let start = Instant::now();
        for _ in 0..count {
            self.speaker.send(message(self.said)).expect("sends");
            self.said += 1;
        }
        let sent = start.elapsed();
        self.members.iter().for_each(|peer| peer.expect("received"));
        (sent, start.elapsed())
    }

    /// The controller is killed while messages are on their way; somebody joins meanwhile.
    fn lose_the_controller(&mut self) {
        let expect = format!("expect {}", 2 * MESSAGES);
        self.members.iter_mut().for_each(|peer| peer.tell(&expect));
        let send = |from: u64| {
            for number in from..from + MESSAGES {
                self.speaker.send(message(number)).expect("sends");
            }
        };
        send(self.said);
        let start = Instant::now();
        self.controller.signal(rustix::process::Signal::KILL);
        let options = self.bus.options(label!("newcomer"));
        let newcomer = ipmb::join::<BytesMessage, ()>(options, Some(DEADLINE)).expect("joins");
        let joined = start.elapsed();
        send(self.said + MESSAGES);
        self.members.iter().for_each(|peer| peer.expect("received"));
        self.said += 2 * MESSAGES;
        self.figures.time("controller killed: a join", joined, None);
        // All are still there for somebody who knows none of them.
        self.members
            .iter_mut()
            .for_each(|peer| peer.tell("expect 1"));
        newcomer.0.send(message(self.said)).expect("sends");
        self.said += 1;
        self.members.iter().for_each(|peer| peer.expect("received"));
        self.figures.time(
            "controller killed: a join and a multicast by the newcomer received",
            start.elapsed(),
            None,
        );
        self.all("nothing", "nothing");
        self.figures.exactly_once(self.said, self.count);
    }

    fn leave(&mut self) {
        let took = self.all("leave", "left");
        self.figures.time("all leave", took, None);
    }
}

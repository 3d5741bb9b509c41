//! `filler NUMBER`: fills the inboxes of others. It is told:
//!
//! * `fill LABEL COUNT BYTES OBJECTS REGIONS TIMEOUT`: sends so many messages, each with so many
//!   bytes more than its number, so many write ends of pipes, and so often its memory region;
//!   `sent COUNT`, or `waited COUNT` if the next one found no room in so many milliseconds;
//! * `try LABEL COUNT BYTES`: the same without waiting; `refused COUNT`;
//! * `open`: how many of the write ends are open anywhere;
//! * `holders`: how many hold the region.

use super::{Job, hear, say};
use ipmb::{
    BytesMessage, EndpointSender, MemoryRegion, Message, Object, Selector, SendError, label,
};
use ipmb_tests::DEADLINE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{os::fd::OwnedFd, time::Duration};

struct Filler {
    me: u16,
    next: u64,
    sender: EndpointSender<BytesMessage>,
    region: MemoryRegion,
    read_ends: Vec<OwnedFd>,
}

pub(super) fn run(job: &Job) {
    super::raise_descriptor_limit();
    let options = job
        .options(label!("filler"))
        .with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<_, ()>(options, Some(DEADLINE)).expect("joins");
    let mut filler = Filler {
        me: job.number(0),
        next: 0,
        sender,
        region: MemoryRegion::try_new(100).expect("memory"),
        read_ends: Vec::new(),
    };
    say("joined");
    while let Some(line) = hear() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        match words[0] {
            "fill" => {
                let timeout = Duration::from_millis(number(6));
                let attached = [number(4), number(5)];
                filler.fill(words[1], number(2), number(3), attached, timeout);
            }
            "try" => filler.try_fill(words[1], number(2), number(3)),
            "open" => say(filler.open()),
            "holders" => say(filler.region.ref_count()),
            _ => panic!("what is {line:?}?"),
        }
    }
}

impl Filler {
    fn fill(&mut self, to: &str, count: u64, bytes: u64, attached: [u64; 2], timeout: Duration) {
        for sent in 0..count {
            let message = self.message(to, bytes, attached);
            match self.sender.send_timeout(message, timeout) {
                Ok(()) => self.next += 1,
                Err(error) => {
                    let why = error.reason;
                    assert!(matches!(why, SendError::Timeout), "{why}");
                    return say(format_args!("waited {sent}"));
                }
            }
        }
        say(format_args!("sent {count}"));
    }

    fn try_fill(&mut self, to: &str, count: u64, bytes: u64) {
        for sent in 0..count {
            let message = self.message(to, bytes, [0, 0]);
            match self.sender.try_send(message) {
                Ok(()) => self.next += 1,
                Err(error) => {
                    let why = error.reason;
                    assert!(matches!(why, SendError::WouldBlock), "{why}");
                    return say(format_args!("refused {sent}"));
                }
            }
        }
        say(format_args!("sent {count}"));
    }

    fn message(
        &mut self,
        to: &str,
        bytes: u64,
        [objects, regions]: [u64; 2],
    ) -> Message<BytesMessage> {
        let mut data = vec![self.next as u8; bytes as usize + 8];
        data[..8].copy_from_slice(&self.next.to_le_bytes());
        let format = self.me;
        let mut message = Message::new(Selector::unicast(to), BytesMessage { format, data });
        for _ in 0..objects {
            let (read_end, write_end) = rustix::pipe::pipe().expect("descriptors");
            self.read_ends.push(read_end);
            message.objects.push(Object::from(write_end));
        }
        for _ in 0..regions {
            let region = self.region.clone().expect("room for a holder");
            message.memory_regions.push(region);
        }
        message
    }

    fn open(&self) -> usize {
        let is_open = |read_end: &&OwnedFd| {
            let mut fds = [PollFd::new(read_end, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::default())).expect("polls");
            !fds[0].revents().contains(PollFlags::HUP)
        };
        self.read_ends.iter().filter(is_open).count()
    }
}

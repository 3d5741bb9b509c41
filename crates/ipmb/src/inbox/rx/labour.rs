//! What takes long before anything comes of it, if anything: a message with thousands of objects, a channel full of
//! what nobody wants, the belongings of somebody who was cut off. It is done in small parts, and others have their
//! turn in between: a sender that makes us much work delays itself.

use super::{Pull, PullError, Queue, Rx, Source};
use crate::RecvError;
use std::collections::VecDeque;

/// So often others have their turn before it is done although they have more.
const SELDOM: u32 = 64;

#[derive(Default)]
pub(super) struct Labour {
    /// Those of whom there is news that takes work.
    sources: Queue,
    /// Those of whom nothing more is received, but who have left something. They come first, as there is an end to
    /// what they have, and it takes descriptors.
    leaving: VecDeque<Source>,
    /// So many turns others had.
    others: u32,
}

impl Labour {
    /// Takes note of a source of which there is news that takes work.
    pub(super) fn add(&mut self, index: usize) {
        self.sources.push(index);
    }

    /// Whether there is anything to do.
    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.leaving.is_empty()
    }

    /// Whether it is its turn although others have news. Counts how often it is not.
    pub(super) fn is_due(&mut self) -> bool {
        self.others += 1;
        self.others > SELDOM
    }

    /// Those that have left something.
    pub(super) fn leaving(&self) -> &VecDeque<Source> {
        &self.leaving
    }

    /// Lets go of a source of which nothing more is received.
    pub(super) fn see_off(&mut self, mut source: Source) {
        source.close();
        // Nearly always it has left nothing.
        if source.drain() {
            self.leaving.push_back(source);
        }
    }

    /// Does all at once.
    pub(super) fn finish(&mut self) {
        for mut source in self.leaving.drain(..) {
            while source.drain() {}
        }
    }

    fn drain(&mut self) -> bool {
        let Some(source) = self.leaving.front_mut() else {
            return false;
        };
        if !source.drain() {
            self.leaving.pop_front();
        }
        true
    }
}

impl Rx {
    /// Does a part of the work that there is. `None`: there was none.
    pub(super) fn labour(&mut self, longest: u64) -> Result<Option<Pull>, RecvError> {
        self.labour.others = 0;
        if self.labour.drain() {
            return Ok(Some(Pull::More));
        }
        while let Some(index) = self.labour.sources.front() {
            self.labour.sources.pop();
            // Another may be in its place.
            let slot = self.sources.get_mut(index).and_then(Option::as_mut);
            let Some(source) = slot.filter(|it| it.is_laborious() && it.has_news()) else {
                continue;
            };
            match source.pull(&mut self.buffer, longest) {
                Ok(pull) => {
                    self.line_up(index);
                    return Ok(Some(pull));
                }
                Err(PullError::Resources(error)) => {
                    self.labour.add(index);
                    return Err(RecvError::Resources(error));
                }
                Err(PullError::Malformed(why)) => {
                    self.cut_off(index, &why);
                    return Ok(Some(Pull::More));
                }
            }
        }
        Ok(None)
    }

    /// Puts a source where it belongs, if there is news of it.
    pub(super) fn line_up(&mut self, index: usize) {
        let few = self.few();
        let Some(source) = self.sources[index].as_ref().filter(|it| it.has_news()) else {
            return;
        };
        self.scanned = false;
        if source.is_laborious() && source.has_objects_waiting() {
            // One after the other, or all of them would have objects here.
            self.labour.sources.push_first(index);
        } else if source.is_laborious() {
            self.labour.add(index);
        } else if !few {
            self.queue.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        inbox::{Arrival, Limits},
        memory::Shared,
        peer::{FIRST_CAPACITY, PairPacket},
    };
    use ipmb_core::{EndpointId, LaneMessage, MessageHeader};
    use ipmb_lane::{Producer, READY_LEN, ReadySet, Sleeper, memory_len};
    use ipmb_sys::{Channel, Doorbell, Purpose, create_memory, page_size};
    use std::{fs::File, os::fd::AsFd, sync::Arc, time::Duration};

    use super::super::{Next, Rx};

    fn rx() -> Rx {
        let limits = Limits {
            message: 1 << 20,
            budget: 1 << 20,
            spin: Duration::ZERO,
        };
        let (_, page) = create_memory(Purpose::Published, page_size(), true).unwrap();
        let (_, ready) = create_memory(Purpose::Shared, READY_LEN, true).unwrap();
        let sleeper = Sleeper::new(Shared::new(page)).unwrap();
        Rx::new(limits, sleeper, ReadySet::new(Shared::new(ready)).unwrap())
    }

    /// A sender that has a lane.
    fn sender(rx: &mut Rx, number: u64) -> (Channel, Producer<Shared>) {
        let (ours, theirs) = Channel::pair().unwrap();
        let (object, mapping) =
            create_memory(Purpose::Shared, memory_len(FIRST_CAPACITY), false).unwrap();
        let producer = Producer::create(Shared::new(mapping), false).unwrap();
        let room = Doorbell::create().unwrap();
        let packet = PairPacket::Lane { number: 0 }.encode();
        let objects = [object.as_fd(), room.as_fd()];
        ours.try_send(&packet, &objects).unwrap();
        let sender = Arrival::Sender(number, EndpointId(number), 1, Arc::new(theirs));
        rx.take_arrivals(vec![sender, Arrival::ChannelNews(number)]);
        (ours, producer)
    }

    /// Sends objects of messages that do not come, and so many that a packet is read at a time. Returns how many
    /// packets there are.
    fn fill(channel: &Channel) -> usize {
        let null = File::open("/dev/null").unwrap();
        let packet = PairPacket::Objects { sequence: 1 }.encode();
        let sent = |_: &usize| channel.try_send(&packet, &[null.as_fd(); 5]).is_ok();
        (0..5).take_while(sent).count()
    }

    fn send(producer: &mut Producer<Shared>) {
        let frame = MessageHeader::encode_fixed([1; 16]);
        let mut grant = producer.reserve(frame.len()).unwrap();
        grant.write(&frame).unwrap();
        grant.commit(LaneMessage::TAG);
    }

    #[test]
    fn nobody_waits_for_those_who_make_work() {
        // With few senders, and with many.
        for count in [3, 17] {
            let mut rx = rx();
            let (_honest, mut producer) = sender(&mut rx, 1);
            let mut hostile: Vec<_> = (0..count).map(|it| sender(&mut rx, 2 + it)).collect();
            let mut sent = 0;
            for (channel, producer) in &mut hostile {
                sent += fill(channel);
                // The receiver looks for the next one.
                producer.retire();
            }
            assert_eq!(sent, 5 * hostile.len());
            // Between two looks at what they have sent, the other has its turn.
            let mut received = 0;
            while rx.findings().statistics.cut_off < count {
                send(&mut producer);
                rx.scan();
                match rx.next().unwrap() {
                    Next::Message(incoming) => assert_eq!(incoming.from, EndpointId(1)),
                    Next::Nothing => panic!("the message is overlooked"),
                }
                received += 1;
                assert!(received < 100 * sent, "they are never looked at");
            }
            assert!(received > sent, "{received} messages, {sent} packets");
        }
    }
}

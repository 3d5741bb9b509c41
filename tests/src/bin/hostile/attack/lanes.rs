//! What can be written into a lane.

use super::{Scene, bytes_message, noise, patiently};
use ipmb_core::{Correlation, EndpointId, LaneMessage, MessageHeader, ParkId};
use ipmb_lane::HEADER_LEN;
use ipmb_tests::raw::{Failure, Lane, Pair};
use std::thread;

const CAPACITY: usize = 64 << 10;
/// The bytes of the header that mean something, and some behind them.
const HEADER: usize = 5 * 128 + 64;
/// Messages between two looks at the time.
const BATCH: u64 = 1000;

pub fn header(scene: &mut Scene) -> Result<(), Failure> {
    const VALUES: [u8; 8] = [0, 1, 7, 8, 0x40, 0x7f, 0x80, 0xff];
    // The words of both sides first.
    scene.each_pair(|scene, pair, number| {
        let mut lane = pair.lane(0, CAPACITY)?;
        let at = (number as usize * 13) % HEADER;
        let value = VALUES[(number as usize / HEADER + scene.dice.below(8) as usize) % 8];
        for len in [0, 10, 1000] {
            lane.push(0, &noise(len));
        }
        pair.ring();
        lane.memory.poke(at, value);
        lane.push(0, &noise(10));
        Ok(lane)
    })
}

pub fn random(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, number| {
        let mut lane = pair.lane(0, CAPACITY)?;
        let frames = noise(scene.dice.below(300) as usize);
        for _ in 0..2000 {
            lane.push(0, &frames);
            let at = match number % 2 {
                0 => HEADER_LEN + scene.dice.below(CAPACITY as u64) as usize,
                _ => scene.dice.below((HEADER_LEN + CAPACITY) as u64) as usize,
            };
            lane.memory.poke(at, scene.dice.roll() as u8);
            if scene.dice.below(16) == 0 {
                pair.ring();
            }
            if pair.is_cut_off() {
                break;
            }
        }
        Ok(lane)
    })
}

pub fn forged(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, _| {
        let mut lane = pair.lane(0, CAPACITY)?;
        lane.push(0, &noise(100));
        for word in 0..64 {
            let forged = match scene.dice.below(3) {
                0 => scene.dice.nasty(),
                // Length, kind and tag.
                _ => {
                    scene.dice.below(1 << 20)
                        | scene.dice.below(5) << 32
                        | scene.dice.below(3) << 48
                }
            };
            lane.memory.poke_word(HEADER_LEN + 128 + word * 8, forged);
        }
        // Where the sender has got to.
        let tail = match scene.dice.below(2) {
            0 => scene.dice.nasty(),
            _ => scene.dice.below(CAPACITY as u64 + 64) & !7,
        };
        lane.memory.poke_word(128, tail);
        Ok(lane)
    })
}

pub fn envelopes(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, _| {
        let mut lane = pair.lane(0, CAPACITY)?;
        for _ in 0..20 {
            let mut frame = noise(scene.dice.below(60) as usize);
            for _ in 0..1 + scene.dice.below(4) {
                let at = scene.dice.below(frame.len().min(40) as u64) as usize;
                frame[at] = scene.dice.nasty() as u8;
            }
            frame.truncate(scene.dice.below(2 + frame.len() as u64) as usize);
            let tag = match scene.dice.below(3) {
                0 => scene.dice.roll() as u16,
                _ => LaneMessage::TAG,
            };
            lane.push(tag, &frame);
        }
        Ok(lane)
    })
}

pub fn fragments(scene: &mut Scene) -> Result<(), Failure> {
    let piece = vec![1; CAPACITY];
    scene.each_pair(|scene, pair, number| {
        let mut lane = pair.lane(0, CAPACITY)?;
        let len = match number % 4 {
            0 => u64::MAX,
            1 => crate::member::MESSAGE_LIMIT,
            2 => scene.dice.nasty(),
            _ => 1 << 20,
        };
        let mut offset = 0;
        for _ in 0..300 {
            if pair.is_cut_off() || !scene.goes_on() {
                break;
            }
            // Now and then from the beginning.
            if scene.dice.below(200) == 0 {
                offset = 0;
            }
            match lane.producer.push_fragment(0, len, offset, &[&piece]) {
                Ok(sent) => offset = (offset + sent as u64) % len.max(1),
                Err(_) => drop(patiently(|| lane.producer.room_for(1000))),
            }
            pair.ring();
        }
        Ok(lane)
    })
}

/// What gets it cut off is said while the lane is kept full: who is cut off is not read any more.
pub fn flood(scene: &mut Scene) -> Result<(), Failure> {
    let frame = noise(4);
    scene.each_pair(|scene, pair, _| {
        let mut lane = pair.lane(0, 1 << 20)?;
        pair.ring();
        let mut pushed = 0_u64;
        while scene.goes_on() && !lane.producer.is_closed() {
            let tag = if pushed == 2000 { 77 } else { 0 };
            match lane.push(tag, &frame) {
                true => pushed += 1,
                false => pair.ring(),
            }
        }
        // It goes on for as long as it is read.
        let mut quiet = 0;
        while scene.goes_on() && quiet < 1000 {
            match lane.push(0, &frame) {
                true => quiet = 0,
                false => {
                    quiet += 1;
                    thread::yield_now();
                }
            }
        }
        Ok(lane)
    })
}

/// A lane that is kept full of one kind of frame.
fn stream(scene: &mut Scene, mut frame: impl FnMut(&mut Scene) -> Vec<u8>) -> Result<(), Failure> {
    let mut raw = scene.join()?;
    let target = raw.find(scene.target)?;
    let pair = raw.meet(target, false)?;
    let mut lane = pair.lane(0, CAPACITY)?;
    while scene.goes_on() && !pair.is_cut_off() {
        for _ in 0..BATCH {
            let frame = frame(scene);
            scene.tried += 1;
            while !lane.push(0, &frame) && scene.goes_on() {
                pair.ring();
                patiently(|| lane.producer.room_for(frame.len()));
            }
        }
        pair.ring();
    }
    Ok(())
}

pub fn unknown(scene: &mut Scene) -> Result<(), Failure> {
    let frame = MessageHeader::encode_fixed([0x55; 16]).to_vec();
    stream(scene, |_| frame.clone())
}

pub fn replies(scene: &mut Scene) -> Result<(), Failure> {
    stream(scene, |scene| {
        let number = scene.dice.roll();
        let reply = Correlation::Reply(number);
        MessageHeader::encode_correlated(bytes_message(), reply).to_vec()
    })
}

/// Says that its messages were others', which would then be taken for known.
pub fn parked(scene: &mut Scene) -> Result<(), Failure> {
    let others: Vec<EndpointId> = {
        let raw = scene.join()?;
        ["beta", "gamma"]
            .into_iter()
            .map(|it| raw.find(it))
            .collect::<Result<_, _>>()?
    };
    scene.each_pair(|_, pair: &mut Pair, number| {
        let mut lane: Lane = pair.lane(0, CAPACITY)?;
        let mut header = MessageHeader::new(bytes_message());
        header.parked = Some(ParkId {
            sender: others[number as usize % others.len()],
            sequence: number,
        });
        let mut frame = Vec::new();
        header.encode(&mut frame);
        frame.extend(&noise(3)[ipmb_core::PLAIN_HEADER_LEN..]);
        lane.push(0, &frame);
        Ok(lane)
    })
}

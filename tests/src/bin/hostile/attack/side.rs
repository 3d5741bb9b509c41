//! What can be sent on the channel between two endpoints.

use super::{Scene, bytes_message, noise, patiently, words};
use ipmb_core::{MessageHeader, PLAIN_HEADER_LEN};
use ipmb_sys::{Doorbell, OwnedObject};
use ipmb_tests::raw::{Failure, Lane, packet};

const MOST: usize = 253;

pub fn garbage(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, _| {
        for _ in 0..8 {
            let len = match scene.dice.below(3) {
                0 => scene.dice.below(32 << 10),
                _ => scene.dice.below(20),
            };
            let bytes = scene.dice.bytes(1 + len as usize);
            let bell = Doorbell::create()?.into_object();
            let objects = vec![&bell; scene.dice.below(4) as usize];
            pair.send(&bytes, &objects)?;
        }
        Ok(())
    })
}

/// A message that says that it has objects.
fn with_objects(objects: u32, sequence: u64) -> Vec<u8> {
    let mut header = MessageHeader::new(bytes_message());
    header.objects = objects;
    let mut frame = Vec::new();
    header.encode(&mut frame);
    frame.extend(sequence.to_le_bytes());
    frame.extend(&noise(3)[PLAIN_HEADER_LEN..]);
    frame
}

/// Objects of messages that do not come, and a lane that ends: the receiver looks for the next one.
pub fn nobody(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, number| {
        let mut lane: Lane = pair.lane(0, 64 << 10)?;
        let bell = Doorbell::create()?.into_object();
        let objects = vec![&bell; MOST];
        if number % 2 == 0 {
            lane.producer.retire();
        } else {
            lane.push(0, &with_objects(1, u64::MAX));
        }
        for _ in 0..200 {
            let sequence = scene.dice.below(1000);
            pair.send(&packet::of(packet::OBJECTS, sequence), &objects)?;
            pair.ring();
            if pair.is_cut_off() || !scene.goes_on() {
                break;
            }
        }
        Ok((lane, bell))
    })
}

/// A message with more objects than there are descriptors.
pub fn endless(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, _| {
        let mut lane: Lane = pair.lane(0, 64 << 10)?;
        let bell: OwnedObject = words::full_and_blocking()?;
        let objects = vec![&bell; MOST];
        pair.send(&packet::of(packet::OBJECTS, 1), &objects)?;
        lane.push(0, &with_objects(u32::MAX, 1));
        pair.ring();
        for _ in 0..200 {
            pair.send(&packet::of(packet::OBJECTS, 1), &objects)?;
            if pair.is_cut_off() || !scene.goes_on() {
                break;
            }
        }
        Ok((lane, bell))
    })
}

/// The receiver looks for what a message refers to, and finds nothing but lanes.
pub fn lanes(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, _| {
        let mut lane: Lane = pair.lane(0, 64 << 10)?;
        lane.push(0, &with_objects(1, 1));
        let next = Lane::new(4 << 10, false)?;
        for number in 1..2000 {
            pair.ring();
            pair.offer(number, &next.object, &next.room)?;
            if pair.is_cut_off() || !scene.goes_on() {
                break;
            }
        }
        patiently(|| pair.is_cut_off());
        Ok((lane, next))
    })
}

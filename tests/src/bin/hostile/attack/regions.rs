//! Memory regions that are none, and more of them than anybody needs.

use super::{Scene, bytes_message, noise, patiently, words};
use ipmb_core::{MessageHeader, PLAIN_HEADER_LEN, RegionId, RegionRef};
use ipmb_sys::OwnedObject;
use ipmb_tests::raw::{Dice, Failure, Lane, Pair, packet};

const MAGIC: u64 = u64::from_le_bytes(*b"ipmb-mr1");
const HEADER_LEN: u64 = 16 << 10;

/// A block as `ipmb` makes them, but for what it is to say.
fn block(id: [u8; 16], size: u64, real_size: u64, watched: u64) -> Result<OwnedObject, Failure> {
    let mut header = MAGIC.to_le_bytes().to_vec();
    header.extend(id);
    header.extend(size.to_le_bytes());
    header.extend(watched.to_le_bytes());
    header.resize(256, 0);
    // Two cells are in use: one travels with the message, and the other is held for good.
    for word in [2_u64, 2, 1, 1] {
        header.extend(word.to_le_bytes());
    }
    words::sealed(HEADER_LEN + real_size, &header)
}

fn message(objects: u32, regions: &[RegionRef], sequence: u64) -> Vec<u8> {
    let mut header = MessageHeader::new(bytes_message());
    header.objects = objects;
    header.regions.extend(regions.iter().copied());
    let mut frame = Vec::new();
    header.encode(&mut frame);
    frame.extend(sequence.to_le_bytes());
    frame.extend(&noise(3)[PLAIN_HEADER_LEN..]);
    frame
}

fn id(dice: &mut Dice) -> [u8; 16] {
    let bytes = dice.bytes(16);
    std::array::from_fn(|at| bytes[at])
}

pub fn forged(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair: &mut Pair, _| {
        let mut lane: Lane = pair.lane(0, 64 << 10)?;
        let mut kept = Vec::new();
        for sequence in 0..10 {
            let region_id = id(&mut scene.dice);
            let dice = &mut scene.dice;
            let size = match dice.below(3) {
                0 => dice.nasty(),
                _ => 5000,
            };
            let reference = RegionRef {
                id: RegionId(region_id),
                size,
                cell: dice.nasty() as u32,
                owner: dice.nasty() as u16,
                nonce: dice.nasty() & ((1 << 48) - 1),
                with_object: dice.below(4) > 0,
            };
            if reference.with_object {
                let other = id(dice);
                let object = match dice.below(5) {
                    0 => words::other(dice.roll())?,
                    1 => block(other, size, 5000, 0)?,
                    2 => block(region_id, size, 5000, dice.nasty())?,
                    3 => block(region_id, dice.nasty(), 5000, 1)?,
                    _ => block(region_id, size, 5000, 0)?,
                };
                pair.send(&packet::of(packet::OBJECTS, sequence), &[&object])?;
                kept.push(object);
            }
            lane.push(0, &message(0, &[reference], sequence));
            pair.ring();
        }
        patiently(|| lane.producer.consumed() == lane.producer.produced());
        Ok((lane, kept))
    })
}

/// Each of them is held by somebody, as far as anybody can tell.
pub fn many(scene: &mut Scene) -> Result<(), Failure> {
    let mut raw = scene.join()?;
    let target = raw.find(scene.target)?;
    let pair = raw.meet(target, false)?;
    let mut lane = pair.lane(0, 64 << 10)?;
    for sequence in 0.. {
        if !scene.goes_on() || pair.is_cut_off() {
            break;
        }
        let region_id = id(&mut scene.dice);
        let object = block(region_id, 100, 100, 0)?;
        let reference = RegionRef {
            id: RegionId(region_id),
            size: 100,
            cell: 0,
            owner: 0,
            nonce: 1,
            with_object: true,
        };
        while !pair.send(&packet::of(packet::OBJECTS, sequence), &[&object])? && scene.goes_on() {}
        while !lane.push(0, &message(0, &[reference], sequence)) && scene.goes_on() {
            pair.ring();
            patiently(|| lane.producer.room_for(1000));
        }
        scene.tried += 1;
        if sequence % 16 == 0 {
            pair.ring();
        }
    }
    Ok(())
}

//! Loans that nobody has made.

use super::{Scene, bytes_message, noise, words};
use ipmb_core::{LaneMessage, LoanRef, MessageHeader};
use ipmb_lane::LOANS_LEN;
use ipmb_tests::raw::{Failure, packet};

pub fn forged(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, _| {
        let mut lane = pair.lane(0, 64 << 10)?;
        let dice = &mut scene.dice;
        let lease = match dice.below(4) {
            0 => words::other(dice.roll())?,
            1 => words::sealed(LOANS_LEN as u64 - 8, &dice.bytes(100))?,
            _ => words::sealed(LOANS_LEN as u64, &dice.bytes(300))?,
        };
        let segment = match dice.below(4) {
            0 => words::other(dice.roll())?,
            1 => words::sealed(1 << 40, b"")?,
            _ => words::sealed(64 << 10, b"")?,
        };
        pair.send(&packet::of(packet::ACCOUNT, dice.below(2)), &[&lease])?;
        let slot = match dice.below(3) {
            0 => dice.nasty(),
            _ => 1 << 32 | 1,
        };
        pair.send(&packet::of(packet::SEGMENT, slot), &[&segment])?;
        for _ in 0..8 {
            let mut forged = |true_one: u64| match dice.below(3) {
                0 => dice.nasty(),
                _ => true_one,
            };
            let reference = LoanRef {
                position: forged(0) as u32,
                loan: forged(0) as u32,
                slot: forged(1) as u32,
                epoch: forged(1) as u32,
                offset: forged(0),
                len: forged(100),
            };
            let references = vec![reference; 1 + dice.below(3) as usize];
            let mut frame = MessageHeader::encode_fixed(bytes_message()).to_vec();
            frame.extend(&noise(5)[frame.len()..]);
            LoanRef::append_all(&references, &mut frame);
            if dice.below(4) == 0 {
                // How many they are.
                let at = frame.len() - 4 + dice.below(4) as usize;
                frame[at] = dice.nasty() as u8;
            }
            lane.push(LaneMessage::TAG | LoanRef::TAG_BIT, &frame);
        }
        Ok((lane, lease, segment))
    })
}

/// Memory for every slot, which nothing refers to.
pub fn segments(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, _| {
        let mut lane = pair.lane(0, 64 << 10)?;
        let lease = words::sealed(LOANS_LEN as u64, b"")?;
        let segment = words::sealed(64 << 10, b"")?;
        pair.send(&packet::of(packet::ACCOUNT, 0), &[&lease])?;
        // One that does not come keeps the receiver reading.
        let reference = LoanRef {
            position: 0,
            loan: 0,
            slot: 1023,
            epoch: 2,
            offset: 0,
            len: 1,
        };
        let mut frame = MessageHeader::encode_fixed(bytes_message()).to_vec();
        LoanRef::append_all(&[reference], &mut frame);
        for slot in 0..200_u64 {
            pair.send(&packet::of(packet::SEGMENT, slot << 32 | 1), &[&segment])?;
        }
        lane.push(LaneMessage::TAG | LoanRef::TAG_BIT, &frame);
        pair.ring();
        for slot in 200..1023_u64 {
            if !scene.goes_on() || pair.is_cut_off() {
                break;
            }
            pair.send(&packet::of(packet::SEGMENT, slot << 32 | 1), &[&segment])?;
        }
        Ok((lane, lease, segment))
    })
}

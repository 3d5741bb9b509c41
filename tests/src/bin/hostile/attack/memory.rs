//! Memory that can go away, and memory of others.

use super::{Scene, noise, patiently, words};
use ipmb_lane::memory_len;
use ipmb_sys::{Access, Doorbell, map_memory};
use ipmb_tests::raw::{Failure, Lane, Shared, packet};
use rustix::fs::{FallocateFlags, SealFlags, fallocate, ftruncate};
use std::os::fd::AsFd;

const FIXED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

pub fn lanes(scene: &mut Scene) -> Result<(), Failure> {
    let good = memory_len(64 << 10) as u64;
    scene.each_pair(|scene, pair, number| {
        let memory = match number % 16 {
            0 => words::memory(good, SealFlags::empty())?,
            1 => words::memory(good, SealFlags::SHRINK)?,
            2 => words::memory(good, SealFlags::GROW)?,
            3 => words::memory(good, FIXED | SealFlags::WRITE)?,
            4 => words::memory(good - 1, FIXED)?,
            5 => words::memory(4096, FIXED)?,
            6 => words::memory(1 << 40, FIXED)?,
            7 => words::memory(0, FIXED)?,
            8 => words::sealed(good, &scene.dice.bytes(64))?,
            kind => words::other(kind)?,
        };
        let room = match scene.dice.below(2) {
            0 => Doorbell::create()?.into_object(),
            _ => words::other(number)?,
        };
        pair.offer(0, &memory, &room)?;
        Ok((memory, room))
    })
}

pub fn truncated(scene: &mut Scene) -> Result<(), Failure> {
    scene.each_pair(|scene, pair, number| {
        // An honest one: nobody can take its memory away.
        let mut lane = pair.lane(0, 64 << 10)?;
        lane.push(0, &noise(1000));
        pair.ring();
        for len in [0, 1, 4096] {
            scene.refused += u64::from(ftruncate(&lane.object, len).is_err());
        }
        // Its pages can be emptied.
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&lane.object, flags, 0, 128 << 10);
        lane.push(0, &noise(1000));
        // And one whose size can change, at the moment when it is looked at.
        let bad = words::memory(memory_len(64 << 10) as u64, SealFlags::empty())?;
        let room = Doorbell::create()?.into_object();
        pair.send(&packet::of(packet::LANE, 1 + number % 2), &[&bad, &room])?;
        lane.producer.retire();
        pair.ring();
        for _ in 0..100 {
            ftruncate(&bad, 0)?;
            ftruncate(&bad, memory_len(64 << 10) as u64)?;
        }
        Ok((lane, bad))
    })
}

/// Pages that only their owners may write.
pub fn others(scene: &mut Scene) -> Result<(), Failure> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let mut raw = scene.join()?;
    let target = raw.find(scene.target)?;
    let pair = raw.meet(target, false)?;
    while scene.goes_on() {
        for object in [&pair.page, &raw.directory] {
            let refused = [
                map_memory(object.as_fd(), Access::ReadWrite, 1..=usize::MAX).is_err(),
                rustix::io::pwrite(object, &[0xff; 64], 0).is_err(),
                ftruncate(object, 0).is_err(),
                ftruncate(object, 1 << 30).is_err(),
                fallocate(object, flags, 0, 4096).is_err(),
            ];
            scene.tried += refused.len() as u64;
            scene.refused += refused.iter().filter(|it| **it).count() as u64;
            if refused.contains(&false) {
                return Err(format!("memory of others can be written: {refused:?}").into());
            }
        }
        for object in [&pair.ready, &raw.beacon] {
            for len in [0, 1, 1 << 30] {
                scene.tried += 1;
                match ftruncate(object, len) {
                    Err(_) => scene.refused += 1,
                    Ok(()) => return Err("memory that is shared can be truncated".into()),
                }
            }
        }
        patiently(|| false);
    }
    Ok(())
}

pub fn ready(scene: &mut Scene) -> Result<(), Failure> {
    let mut raw = scene.join()?;
    let target = raw.find(scene.target)?;
    let pair = raw.meet(target, false)?;
    let ready = pair.ready_set()?;
    let mut lane: Lane = pair.lane(0, 64 << 10)?;
    for at in 0..ready.size() {
        ready.poke(at, 0xff);
        scene.tried += 1;
    }
    while scene.goes_on() {
        for _ in 0..1000 {
            let at = scene.dice.below(ready.size() as u64) as usize;
            ready.poke(at, scene.dice.roll() as u8);
            ready.poke_word(8 * scene.dice.below(16) as usize, scene.dice.nasty());
            scene.tried += 1;
        }
        lane.push(0, &noise(10));
        pair.ring();
        patiently(|| false);
    }
    Ok(())
}

pub fn beacon(scene: &mut Scene) -> Result<(), Failure> {
    let raw = scene.join()?;
    let mapping = map_memory(raw.beacon.as_fd(), Access::ReadWrite, 1..=usize::MAX)?;
    let beacon = Shared::new(mapping);
    let true_one = beacon.peek_word(0);
    while scene.goes_on() {
        let value = match scene.dice.below(4) {
            0 => u64::MAX - scene.dice.below(1000),
            1 => scene.dice.nasty(),
            _ => true_one + 1 + scene.dice.below(1 << 30),
        };
        beacon.poke_word(0, value);
        scene.tried += 1;
        patiently(|| false);
    }
    beacon.poke_word(0, true_one);
    Ok(())
}

//! Doorbells that are none, and what can be done to those of others.

use super::{Scene, noise, patiently, words};
use ipmb_core::Label;
use ipmb_tests::raw::{Belongings, Failure, Raw};
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

/// A member whose own objects are none.
pub fn none(scene: &mut Scene) -> Result<(), Failure> {
    while scene.goes_on() {
        let mut belongings = Belongings::honest()?;
        let kind = scene.tried;
        let which = (scene.tried / words::KINDS % 3) as usize;
        belongings.objects[which] = words::other(kind)?;
        let id = scene.fresh_id();
        let label = Label::from(["attacker"]);
        scene.tried += 1;
        let Ok(mut raw) = Raw::join_with(&scene.directory, label, id, belongings) else {
            scene.refused += 1;
            continue;
        };
        for target in [scene.target, "beta"] {
            let target = raw.find(target)?;
            // Who has no use for what we registered with has hung up already.
            let Ok(pair) = raw.meet(target, false) else {
                continue;
            };
            if let Ok(mut lane) = pair.lane(0, 64 << 10) {
                lane.push(0, &noise(100));
                pair.ring();
            }
            patiently(|| pair.is_cut_off());
        }
    }
    Ok(())
}

/// Keeps the victim's doorbell full, and has it block whoever rings.
pub fn full(scene: &mut Scene) -> Result<(), Failure> {
    let mut raw = scene.join()?;
    let target = raw.find(scene.target)?;
    let pair = raw.meet(target, false)?;
    let mut lane = pair.lane(0, 64 << 10)?;
    while scene.goes_on() {
        words::fill(&pair.doorbell)?;
        scene.tried += 1;
        if scene.tried.is_multiple_of(64) {
            lane.push(0, &noise(10));
            patiently(|| false);
        }
    }
    rustix::fs::fcntl_setfl(&pair.doorbell, rustix::fs::OFlags::NONBLOCK)?;
    let _ = rustix::io::read(&pair.doorbell, &mut [0; 8]);
    Ok(())
}

/// Takes the rings that were meant for the victim.
pub fn stolen(scene: &mut Scene) -> Result<(), Failure> {
    let mut raw = scene.join()?;
    let target = raw.find(scene.target)?;
    let pair = raw.meet(target, false)?;
    rustix::fs::fcntl_setfl(&pair.doorbell, rustix::fs::OFlags::NONBLOCK)?;
    let stop = AtomicBool::new(false);
    let stolen = thread::scope(|scope| {
        let thief = scope.spawn(|| {
            let mut stolen = 0;
            while !stop.load(Relaxed) {
                match rustix::io::read(&pair.doorbell, &mut [0; 8]) {
                    Ok(_) => stolen += 1,
                    Err(_) => std::hint::spin_loop(),
                }
            }
            stolen
        });
        while scene.goes_on() {
            patiently(|| false);
        }
        stop.store(true, Relaxed);
        thief.join().unwrap_or(0)
    });
    scene.tried += stolen;
    pair.ring();
    Ok(())
}

//! Coming and going, and being there.

use super::{Scene, patiently};
use ipmb::label;
use ipmb_core::{Label, ToController};
use ipmb_tests::{
    Bus,
    raw::{Belongings, Failure, Raw, mark::Thief},
};
use std::time::{Duration, Instant};

/// A newcomer is let in by then, though nobody tells it that there is a controller.
const SOON: Duration = Duration::from_secs(2);

/// Asks for the same introduction until it is cut off.
pub fn introductions(scene: &mut Scene) -> Result<(), Failure> {
    while scene.goes_on() {
        let mut raw = scene.join()?;
        let peer = raw.find("alpha")?;
        for round in 0.. {
            scene.tried += 1;
            let after = if round > 0 { u64::MAX } else { 0 };
            if raw
                .say(&ToController::Introduce { peer, after }, &[])
                .is_err()
                || round > 100
            {
                break;
            }
        }
        while let Ok(Some(_)) = raw.hear(std::time::Duration::from_millis(1)) {}
    }
    Ok(())
}

pub fn joins(scene: &mut Scene) -> Result<(), Failure> {
    while scene.goes_on() {
        let raw = scene.join()?;
        scene.tried += 1;
        if scene.tried.is_multiple_of(16) {
            drop(raw.everybody()?);
        }
    }
    Ok(())
}

/// As many as there may be.
pub fn members(scene: &mut Scene) -> Result<(), Failure> {
    let mut all = Vec::new();
    while scene.goes_on() && all.len() < 600 {
        match scene.join() {
            Ok(raw) => all.push(raw),
            Err(_) => scene.refused += 1,
        }
        scene.tried += 1;
    }
    while scene.goes_on() {
        patiently(|| false);
    }
    Ok(())
}

/// The largest labels, until the directory is full.
pub fn labels(scene: &mut Scene) -> Result<(), Failure> {
    let mut all = Vec::new();
    while scene.goes_on() {
        let size = match scene.dice.below(3) {
            0 => 1 << 20,
            1 => (1 << 20) + 1,
            _ => 300 << 10,
        };
        let words = match scene.dice.below(2) {
            0 => vec!["x".repeat(size)],
            _ => (0..size / 8).map(|number| format!("{number:08}")).collect(),
        };
        let label = Label::from(words.iter().map(String::as_str));
        let id = scene.fresh_id();
        scene.tried += 1;
        match Raw::join_with(&scene.directory, label, id, Belongings::honest()?) {
            Ok(raw) => all.push(raw),
            Err(_) => {
                scene.refused += 1;
                all.pop();
            }
        }
    }
    Ok(())
}

/// Takes away the word that somebody serves, on a bus of its own where one controller follows the other.
pub fn mark(scene: &mut Scene) -> Result<(), Failure> {
    let bus = Bus::new();
    let join = |affinity| {
        let options = bus.options(label!("fooled"));
        ipmb::join::<(), ()>(options.with_controller_affinity(affinity), Some(2 * SOON))
    };
    let mut controller = join(true)?;
    let thief = Thief::start(&bus.path())?;
    while scene.goes_on() {
        let next = join(true)?;
        drop(std::mem::replace(&mut controller, next));
        let start = Instant::now();
        drop(join(false)?);
        scene.tried += 1;
        let took = start.elapsed();
        if took > SOON {
            return Err(format!("a newcomer was let in after {took:?}").into());
        }
    }
    match thief.stop() {
        0 => Err("nothing was taken away".into()),
        _ => Ok(()),
    }
}

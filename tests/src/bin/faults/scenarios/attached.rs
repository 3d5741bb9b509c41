//! Messages with objects, regions and loans.

use std::cell::Cell;
use std::time::Duration;

use ipmb::{Bytes, MemoryRegion, MemoryRegistry, Message, Selector};

use super::bus::pair;
use crate::ledger::{Content, Parcel, filler_of};
use crate::stage::{Member, Stage};

const SMALL: Content = Content {
    bytes: 10,
    objects: 0,
};

/// More than one packet takes, at the end.
pub fn objects(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    for objects in [1, 3, 300] {
        stage.send(&alice, "bob", Content { bytes: 10, objects });
        stage.send(
            &alice,
            "bob",
            Content {
                bytes: 0,
                objects: 1,
            },
        );
        stage.receive_all(&bob);
    }
    stage.check(&[&alice, &bob]);
}

pub fn region(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    let mut regions = Vec::new();
    for _ in 0..2 {
        let Ok(mut region) = MemoryRegion::try_new(100_000) else {
            continue;
        };
        if fill(stage, &mut region) {
            // Twice the same: the second time without its descriptor.
            for _ in 0..2 {
                if let Ok(more) = region.clone() {
                    hand_over(stage, &alice, &bob, more);
                }
            }
            regions.push(region);
        }
    }
    stage.check(&[&alice, &bob]);
    for region in regions {
        expect_one_holder(stage, &region);
    }
}

/// Nobody has it any more but who made it.
fn expect_one_holder(stage: &Stage, region: &MemoryRegion) {
    let holders = region.ref_count();
    // Where there is no memory for good, the receiver can neither map it nor let go of it.
    if holders != 1 && !stage.lasts() {
        stage.wrong(format!("{holders} hold a region that is read"));
    }
}

/// A region that waits for who is not there yet.
pub fn parked_region(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    let Ok(mut region) = MemoryRegion::try_new(100_000) else {
        return stage.wrong("no region".to_owned());
    };
    fill(stage, &mut region);
    let Ok(more) = region.clone() else {
        return stage.wrong("no second holder".to_owned());
    };
    stage.arm();
    let filler = |number| Some(Bytes::from(vec![filler_of(number); SMALL.bytes]));
    let selector = Selector {
        ttl: Duration::from_secs(60),
        ..Selector::unicast("carol")
    };
    let add = |message: &mut Message<Parcel>| message.memory_regions.push(more);
    stage.send_with(&alice, "carol", SMALL, selector, filler, add);
    let carol = stage.join("carol");
    if let Some(carol) = &carol {
        stage.receive_all(carol);
    }
    stage.disarm();
    if let Some(carol) = stage.join_at_last("carol", carol) {
        stage.check(&[&alice, &bob, &carol]);
    }
    expect_one_holder(stage, &region);
}

pub fn registry(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    let mut registry = MemoryRegistry::default();
    for _ in 0..3 {
        if let Ok(mut region) = registry.try_alloc(100_000, None)
            && fill(stage, &mut region)
        {
            hand_over(stage, &alice, &bob, region);
        }
        registry.maintain();
    }
    stage.check(&[&alice, &bob]);
    // All of it is free again.
    match registry.try_alloc(100_000, None) {
        Ok(region) if region.ref_count() == 2 => {}
        Ok(region) => stage.wrong(format!("{} hold a new region", region.ref_count())),
        Err(error) => stage.wrong(format!("no region: {error:?}")),
    }
}

fn fill(stage: &Stage, region: &mut MemoryRegion) -> bool {
    match region.map(..) {
        Ok(bytes) => bytes.fill(3),
        Err(error) => stage.wrong(format!("a region cannot be mapped: {error:?}")),
    }
    true
}

fn hand_over(stage: &Stage, alice: &Member, bob: &Member, region: MemoryRegion) {
    let filler = |number| Some(Bytes::from(vec![filler_of(number); SMALL.bytes]));
    let add = |message: &mut Message<Parcel>| message.memory_regions.push(region);
    let selector = Selector::unicast("bob");
    if !stage.send_with(alice, "bob", SMALL, selector, filler, add) {
        return;
    }
    let end = std::time::Instant::now() + stage.patience();
    while std::time::Instant::now() < end {
        let Some(mut message) = stage.receive(bob, stage.patience()) else {
            continue;
        };
        match message.memory_regions.first_mut().map(|it| it.map(..)) {
            Some(Ok(bytes)) if bytes.iter().all(|byte| *byte == 3) => {}
            // It could not be mapped here, and says so.
            Some(Err(ipmb::MapError::Memory(_))) => {}
            other => stage.wrong(format!("another region: {:?}", other.map(|it| it.is_ok()))),
        }
        return;
    }
    stage.late("a region is due");
}

pub fn loan(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    let refused = Cell::new(0);
    for bytes in [100, 100_000, 100_000, 2_000_000] {
        let lend = |number| match alice.sender.loan(bytes) {
            Ok(mut loan) => {
                loan.fill(filler_of(number));
                Some(loan.freeze())
            }
            Err(ipmb::LoanError::Resources(_)) => {
                refused.set(refused.get() + 1);
                None
            }
            Err(error) => {
                // The ledger is in use.
                panic!("no loan: {error:?}");
            }
        };
        let content = Content { bytes, objects: 0 };
        let selector = Selector::unicast("bob");
        stage.while_receiving(&bob, || {
            stage.send_by(&alice, "bob", content, selector, lend);
        });
    }
    stage.check(&[&alice, &bob]);
    if refused.get() > 1 && !stage.lasts() {
        stage.wrong(format!(
            "{} loans were refused for one fault",
            refused.get()
        ));
    }
}

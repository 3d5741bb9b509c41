//! Coming and going.

use crate::keeper::Keeper;
use crate::ledger::Content;
use crate::stage::{Member, Stage};

const SMALL: Content = Content {
    bytes: 10,
    objects: 0,
};

pub fn join_as_first(stage: &Stage) {
    stage.arm();
    let alice = stage.join("alice");
    stage.disarm();
    if let Some(alice) = stage.join_at_last("alice", alice) {
        stage.check(&[&alice]);
    }
}

pub fn join_as_second(stage: &Stage) {
    let Some(alice) = stage.join("alice") else {
        return;
    };
    stage.arm();
    let bob = stage.join("bob");
    stage.disarm();
    if let Some(bob) = stage.join_at_last("bob", bob) {
        stage.check(&[&alice, &bob]);
    }
}

/// Two that have met, and the controller.
pub fn pair(stage: &Stage) -> Option<(Member, Member)> {
    let (alice, bob) = (stage.join("alice")?, stage.join("bob")?);
    stage.check(&[&alice, &bob]);
    Some((alice, bob))
}

pub fn leave(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    stage.send(&bob, "alice", SMALL);
    drop(bob);
    stage.disarm();
    // What it has sent arrives, and its name is free again.
    stage.receive_all(&alice);
    if let Some(bob) = stage.join("bob") {
        stage.check(&[&alice, &bob]);
    }
}

pub fn leave_as_controller(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    stage.send(&alice, "bob", SMALL);
    drop(alice);
    let carol = stage.join("carol");
    stage.disarm();
    stage.receive_all(&bob);
    if let Some(carol) = stage.join_at_last("dora", carol) {
        stage.check(&[&bob, &carol]);
    }
}

/// The controller is killed. Those who know each other go on, and somebody joins.
pub fn fail_over(stage: &Stage) {
    let mut keeper = Keeper::start(&stage.bus.path());
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    keeper.kill();
    stage.send(&alice, "bob", SMALL);
    stage.receive_all(&bob);
    let carol = stage.join("carol");
    if let Some(carol) = &carol {
        stage.send(&alice, carol.name, SMALL);
    }
    stage.disarm();
    if let Some(carol) = stage.join_at_last("dora", carol) {
        stage.check(&[&alice, &bob, &carol]);
    }
}

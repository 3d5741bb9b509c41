//! Random histories against the guarantees themselves: nothing lost, nothing twice, and in order,
//! whoever comes, goes or dies, controllers included.
//!
//! The world below plays the shells and the endpoints as they are meant to be written. Each endpoint
//! talks to the controller through two queues, and to the others through lanes; steps move one message
//! at a time, so that everything can happen in between.

mod endpoint;
mod world;

use proptest::prelude::*;

use world::World;

#[derive(Debug, Clone)]
enum Step {
    /// An endpoint of these labels appears, and tries to join.
    Appear(usize),
    /// An endpoint sends a message to one label.
    Send(usize, usize),
    /// The controller handles the next message of an endpoint.
    Up(usize),
    /// An endpoint handles the next message of the controller.
    Down(usize),
    /// An endpoint dies; the controller finds out.
    Kill(usize),
    /// The controller dies, and of what it sent only a part had reached each endpoint.
    KillController(usize),
    /// Some endpoint becomes the controller.
    Elect(usize),
    /// An endpoint connects to the controller, after it has read what the last one sent.
    Connect(usize),
    /// So much time passes that survivors are back, and nobody waits for them any longer.
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..64_usize;
    prop_oneof![
        3 => (0..6_usize).prop_map(Step::Appear),
        12 => (who.clone(), 0..3_usize).prop_map(|(who, label)| Step::Send(who, label)),
        20 => who.clone().prop_map(Step::Up),
        20 => who.clone().prop_map(Step::Down),
        1 => who.clone().prop_map(Step::Kill),
        1 => who.clone().prop_map(Step::KillController),
        4 => who.clone().prop_map(Step::Elect),
        8 => who.prop_map(Step::Connect),
        1 => Just(Step::Settle),
    ]
}

proptest! {
    // More than usual, in proportion to what the environment asks for: a history is cheap.
    #![proptest_config(ProptestConfig::with_cases(4 * ProptestConfig::default().cases))]

    #[test]
    fn nothing_is_lost_or_doubled_or_overtaken(steps in prop::collection::vec(step(), 1..250)) {
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Appear(labels) => world.appear(labels),
                Step::Send(who, label) => world.send(who, label),
                Step::Up(who) => world.up(who),
                Step::Down(who) => world.down(who),
                Step::Kill(who) => world.kill(who),
                Step::KillController(kept) => world.kill_controller(kept),
                Step::Elect(who) => world.elect(who),
                Step::Connect(who) => world.connect(who),
                Step::Settle => world.settle(),
            }
            world.check_order()?;
        }
        world.come_to_rest();
        world.check_order()?;
        world.check_all_arrived()?;
    }
}

//! Selectors as deep as nobody writes them, on a stack as small as nobody has it.

use ipmb::{LabelOp, Message, Selector, label};
use ipmb_tests::{Bus, DEADLINE};
use std::{thread, time::Duration};

const DEPTH: usize = 100_000;
/// One byte for each level would be too much.
const STACK: usize = 64 << 10;

/// Each of them matches the label `deep`.
fn deep() -> [LabelOp; 4] {
    let nested =
        |wrap: fn(LabelOp) -> LabelOp| (0..DEPTH).fold(LabelOp::from("deep"), |op, _| wrap(op));
    [
        nested(|op| !op),
        nested(|op| op.and("deep")),
        nested(|op| LabelOp::from("deep").and(op)),
        nested(|op| LabelOp::from("other").or(op)),
    ]
}

#[test]
fn a_selector_of_any_depth_works() {
    let bus = Bus::new();
    let listener = bus.peer("listener", &["deep"]);
    listener.expect("joined");
    let options = bus.options(label!("test"));
    let (sender, _receiver) = ipmb::join::<String, ()>(options, Some(DEADLINE)).unwrap();
    on_a_small_stack(move || {
        for (n, op) in deep().into_iter().enumerate() {
            assert!(op.validate(&label!("deep")));
            assert!(!op.validate(&label!("shallow")));
            assert!(op.clone() == op);
            assert!(format!("{op:?}").len() > DEPTH);
            for (mode, selector) in [
                ("one", Selector::unicast(op.clone())),
                ("all", Selector::multicast(op.clone())),
            ] {
                // Twice, because a route is remembered.
                for time in 0..2 {
                    let text = format!("{mode} {n} {time}");
                    sender
                        .send(Message::new(selector.clone(), text.clone()))
                        .unwrap();
                    listener.expect(&text);
                }
            }
        }
    });
}

#[test]
fn a_message_with_a_selector_of_any_depth_is_parked() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let options = bus.options(label!("test"));
    let (sender, _receiver) = ipmb::join::<String, ()>(options, Some(DEADLINE)).unwrap();
    on_a_small_stack(move || {
        // All of them at once would be more than one endpoint may park.
        for op in deep() {
            for mut selector in [Selector::unicast(op.clone()), Selector::multicast(op)] {
                selector.ttl = DEADLINE;
                let message = Message::new(selector, "welcome".to_owned());
                sender.send(message).unwrap();
            }
            let listener = bus.peer("listener", &["deep"]);
            listener.expect("joined");
            listener.expect("welcome");
            listener.expect("welcome");
            listener.finish();
        }
        // One that expires unheard.
        let mut selector = Selector::unicast(LabelOp::from("nobody").and(deep()[1].clone()));
        selector.ttl = Duration::from_millis(1);
        let message = Message::new(selector, "nothing".to_owned());
        sender.send(message).unwrap();
        // The controller is as well as before.
        controller.finish();
    });
}

fn on_a_small_stack(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(STACK);
        builder.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

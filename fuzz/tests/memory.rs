//! What members can make others hold with the quotas as they are.

use std::time::Duration;

use ipmb_core::{
    Body, ConnId, Controller, Credential, EndpointId, Input, Label, Output, Overflow, Quotas,
    ReceiveLimits, Selector, Settings, ToController,
};
use ipmb_fuzz::meter;

/// One user's share of the directory, 8 MiB, may take so much in memory, in the controller; with all others it is less.
const MOST: usize = 64 << 20;

/// Labels of as many words as fit, so that each word is as dear as it can be.
#[test]
fn a_directory_of_short_words_takes_no_more_memory_than_it_may() {
    let mut controller = new_controller();
    let (mut number, mut last) = (0_u32, Vec::new());
    for length in [50_000, 5_000, 500].repeat(40) {
        let words = (number..number + length).map(|number| format!("{number:05x}"));
        number += length;
        last = join(&mut controller, number.into(), Label::from(words));
    }
    // There was an end to it.
    assert!(last.iter().any(|it| matches!(it, Output::Close { .. })));
    let members = controller.snapshot().len();
    let held = meter::held(controller);
    assert!(
        members > 1 && held <= MOST,
        "{members} members, {held} bytes"
    );
}

/// Messages with nothing in them but a long word in their selector.
#[test]
fn parked_selectors_take_no_more_memory_than_they_may() {
    let mut controller = new_controller();
    join(&mut controller, 1, Label::from(["a"]));
    let message_bytes = Quotas::default().message_bytes;
    for sequence in 0..100 {
        let park = ToController::Park {
            sequence,
            selector: Selector {
                ttl: Duration::MAX,
                ..Selector::unicast("x".repeat(message_bytes - 100))
            },
            over: 0,
            body: Body::Inline(Vec::new()),
            objects: 0,
        };
        say(&mut controller, 1, &park);
    }
    let most = Quotas::default().parked_bytes_per_endpoint as usize;
    let held = meter::held(controller);
    assert!(held > most / 2 && held <= most, "{held} bytes");
}

fn new_controller() -> Controller {
    let credential = Credential::new("bus", "token");
    let settings = Settings::default();
    Controller::new(settings, credential, 1, None, false, 1, &mut Vec::new())
}

fn join(controller: &mut Controller, number: u64, label: Label) -> Vec<Output> {
    let (conn, pid, uid) = (ConnId(number), 1, 1);
    controller.handle(Input::LocalMember { conn, pid, uid }, 1, &mut Vec::new());
    let register = ToController::Register {
        id: EndpointId(number),
        label,
        limits: ReceiveLimits {
            message: 1,
            budget: 1,
            overflow: Overflow::Block,
        },
        receiving: true,
        survivor: None,
    };
    say(controller, number, &register)
}

fn say(controller: &mut Controller, number: u64, message: &ToController) -> Vec<Output> {
    let mut out = Vec::new();
    let input = Input::Received {
        conn: ConnId(number),
        bytes: &message.encode(),
        objects: message.objects(),
    };
    controller.handle(input, 1, &mut out);
    out
}

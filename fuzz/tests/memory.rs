//! What members can make everybody hold with the quotas as they are.

use ipmb_core::{
    ConnId, Controller, Credential, EndpointId, Input, Label, Output, Overflow, ReceiveLimits,
    Settings, ToController,
};
use ipmb_fuzz::meter;

/// A directory of 8 MiB in its log may take so much in memory, in the controller; with all others it is less.
const MOST: usize = 64 << 20;

/// Labels of as many words as fit, so that each word is as dear as it can be.
#[test]
fn a_directory_of_short_words_takes_no_more_memory_than_it_may() {
    let credential = Credential::new("bus", "token");
    let mut out = Vec::new();
    let mut controller =
        Controller::new(Settings::default(), credential, 1, None, false, 1, &mut out);
    let mut number = 0_u32;
    for length in [50_000, 5_000, 500].repeat(40) {
        let words = (number..number + length).map(|number| format!("{number:05x}"));
        number += length;
        let register = ToController::Register {
            id: EndpointId(number.into()),
            label: Label::from(words),
            limits: ReceiveLimits {
                message: 1,
                budget: 1,
                overflow: Overflow::Block,
            },
            receiving: true,
            survivor: None,
        };
        let conn = ConnId(number.into());
        let (pid, uid) = (1, 1);
        controller.handle(Input::LocalMember { conn, pid, uid }, 1, &mut out);
        let (bytes, objects) = (&register.encode()[..], register.objects());
        let input = Input::Received {
            conn,
            bytes,
            objects,
        };
        out.clear();
        controller.handle(input, 1, &mut out);
    }
    // The last ones have been told.
    assert!(out.iter().any(|it| matches!(it, Output::Close { .. })));
    let members = controller.snapshot().len();
    let held = meter::held(controller);
    println!("{members} members, {held} bytes");
    assert!(members > 1 && held <= MOST, "{held} bytes");
}

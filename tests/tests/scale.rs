//! A thousand endpoints on one bus are ordinary.

use ipmb_tests::{Bus, scale};
use std::time::Duration;

#[test]
fn a_thousand_endpoints_join_talk_outlive_their_controller_and_leave() {
    let figures = scale::Scale::measure(&Bus::new(), 1000, Duration::from_secs(1));
    println!("{figures}");
    assert!(figures.value(scale::MEMORY) <= 256.0, "KiB");
    assert!(figures.value(scale::DESCRIPTORS) <= 11.0);
}

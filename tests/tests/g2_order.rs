//! G2: messages from one sender to one receiver arrive in the order sent, through growth.
//! (Through failover: see G3. Through parking: see G6.)

use ipmb_tests::{
    Bus,
    crowd::{Crowd, Pace},
};
use std::time::Instant;

#[test]
fn g2_order_is_kept_while_lanes_grow() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    // Nobody reads at first: the lanes grow from 64 KiB to the receivers' budget.
    let crowd = Crowd::start(&bus, Pace::Full);
    let start = Instant::now();
    let messages = crowd.finish(0);
    println!("{messages} messages in {:?}", start.elapsed());
    controller.finish();
}

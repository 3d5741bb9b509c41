//! `soak victim DIRECTORY`: receives what it gets and sends to all members, until it is killed.

use super::{member, parcel::Parcel};
use ipmb::{Message, Selector, label};
use std::{path::Path, thread, time::Duration};

/// So it does not take all of the processor.
const REST: Duration = Duration::from_millis(5);

pub(super) fn run(directory: &Path) {
    let options = ipmb_tests::options(directory, label!("victim"));
    let options = options.with_controller_affinity(false);
    let (sender, receiver) = ipmb::join::<Parcel, Parcel>(options, None).expect("joins");
    println!("joined");
    thread::spawn(move || while receiver.recv(None).is_ok() {});
    loop {
        let selector = Selector::multicast(member::LABEL);
        let parcel = Parcel::new(u64::MAX, None, vec![1; 500].into());
        sender.send(Message::new(selector, parcel)).expect("sends");
        thread::sleep(REST);
    }
}

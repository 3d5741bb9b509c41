//! Who has left is not waited for, also when it was the controller, or left together with it.

use ipmb::{LabelOp, Message, Options, Selector, label};
use std::time::Duration;

/// Less than a new controller waits for a member that does not come back.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn who_has_left_is_no_receiver_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let options = |label| {
        Options::new("com.example.leaving", label, "")
            .with_runtime_directory(directory.path().join("bus"))
    };
    for _ in 0..50 {
        let controller = ipmb::join::<(), ()>(options(label!("first")), Some(SOON)).unwrap();
        let (_, receiver) = ipmb::join::<(), u8>(options(label!("second")), Some(SOON)).unwrap();
        let (sender, _) = ipmb::join::<u8, ()>(options(label!("third")), Some(SOON)).unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| ipmb::join::<(), ()>(options(label!("other")), Some(SOON)).unwrap())
            .collect();

        drop(others);
        drop(controller);
        let everybody = Selector::multicast(LabelOp::True);
        sender
            .send_timeout(Message::new(everybody, 1), SOON)
            .unwrap();
        assert_eq!(receiver.recv(Some(SOON)).unwrap().payload, 1);
    }
}

//! What has been received takes no memory any more.

use ipmb::{Message, Selector, label};
use ipmb_tests::{Bus, DEADLINE, scale::Usage};

const SENDERS: usize = 16;
/// Of each message.
const BYTES: usize = 8 << 20;

#[test]
fn large_messages_from_many_leave_one_buffer_and_not_one_for_each() {
    let bus = Bus::new();
    let (_, receiver) = ipmb::join::<(), String>(bus.options(label!("sink")), None).expect("joins");
    let sender = || {
        let options = bus.options(label!("source"));
        ipmb::join::<String, ()>(options, Some(DEADLINE)).expect("joins")
    };
    let senders: Vec<_> = (0..SENDERS).map(|_| sender()).collect();
    let before = Usage::of(std::process::id());
    for (sender, _) in &senders {
        std::thread::scope(|scope| {
            let text = "x".repeat(BYTES);
            let message = Message::new(Selector::unicast("sink"), text);
            scope.spawn(|| sender.send(message).expect("sends"));
            let message = receiver.recv(Some(DEADLINE)).expect("receives");
            assert_eq!(message.payload.len(), BYTES);
        });
    }
    let kept = Usage::of(std::process::id()).since(&before).private as usize * 1024;
    // One buffer here, and what the allocator does not give back at once.
    assert!(kept < SENDERS * BYTES / 2, "{kept} bytes are kept");
}

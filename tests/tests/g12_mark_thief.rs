//! G12: the word that somebody serves is one byte in a pipe that every member can read.

use ipmb::{BytesMessage, EndpointSender, Message, Selector, label};
use ipmb_tests::{Bus, DEADLINE, failover::Controllers, raw::mark};
use std::time::{Duration, Instant};

const KILLS: usize = 5;
/// Longer than anything takes that is not waited for in vain.
const WORST: Duration = Duration::from_secs(5);

#[test]
fn g12_who_takes_away_the_word_that_somebody_serves_keeps_nobody_from_the_bus() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let options = |label| bus.options(label).with_controller_affinity(false);
    let (_survivor, survivor) =
        ipmb::join::<(), BytesMessage>(options(label!("survivor")), Some(DEADLINE))
            .expect("the survivor joins");
    let thief = mark::Thief::start(&bus.path()).expect("the thief can read");
    let mut longest = Duration::ZERO;
    for number in 0..KILLS {
        controllers.kill_and_wait();
        let start = Instant::now();
        let (sender, _receiver): (EndpointSender<BytesMessage>, _) =
            ipmb::join::<_, ()>(options(label!("newcomer")), Some(DEADLINE))
                .expect("the newcomer joins");
        let card = BytesMessage {
            format: number as u16,
            data: Vec::new(),
        };
        let message = Message::new(Selector::unicast("survivor"), card);
        sender
            .send_timeout(message, DEADLINE)
            .expect("the survivor is there");
        let received = survivor.recv(Some(DEADLINE)).expect("it is received");
        assert_eq!(received.payload.format, number as u16);
        longest = longest.max(start.elapsed());
        controllers.replace();
    }
    let stolen = thief.stop();
    println!("{stolen} words taken away, the longest wait {longest:?}");
    assert!(stolen > 0, "nothing was taken away");
    assert!(longest < WORST, "{longest:?}");
}

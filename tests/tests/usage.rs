//! What of its quotas an endpoint uses is told as it is, with the limit beside it.

use ipmb::{
    Bytes, BytesMessage, EndpointReceiver, EndpointSender, Label, MemoryRegistry, Message,
    MessageBox, Object, Options, Selector, SendError, SenderUsage, label,
};
use ipmb_tests::{
    Bus, DEADLINE,
    proc::{State, eventually, thread_state},
};
use std::{fs::File, os::fd::OwnedFd, sync::mpsc, thread, time::Duration};

type Endpoint<T, R> = (EndpointSender<T>, EndpointReceiver<R>);

fn join<T: MessageBox, R: MessageBox>(options: Options) -> Endpoint<T, R> {
    ipmb::join(options, Some(DEADLINE)).unwrap()
}

/// A message for nobody who is there.
fn to_be_parked<T: MessageBox>(payload: T) -> Message<T> {
    let mut selector = Selector::unicast("late");
    selector.ttl = Duration::from_secs(3600);
    Message::new(selector, payload)
}

fn null() -> Object {
    OwnedFd::from(File::open("/dev/null").unwrap()).into()
}

/// Parks such messages until it is refused, and returns how many were and what the error says.
fn park_all<T: MessageBox>(
    sender: &EndpointSender<T>,
    make: impl Fn() -> Message<T>,
) -> (u64, String) {
    let mut parked = 0;
    loop {
        match sender.send(make()) {
            Ok(()) => parked += 1,
            Err(SendError::ParkRefused(why)) => return (parked, why),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn endpoints_and_what_they_take_of_the_directory_are_told() {
    let bus = Bus::new();
    let (sender, _receiver) = join::<(), ()>(bus.options(label!("first", "ab")));
    let before = sender.usage();
    assert_eq!(
        (before.endpoints.used, before.endpoints_of_user.used),
        (1, 1)
    );
    assert_eq!(before.label.used, "firstab".len() as u64);
    let word = "x".repeat(10_000);
    let others: Vec<Endpoint<(), ()>> = (0..3)
        .map(|_| join(bus.options(Label::from([&word]))))
        .collect();
    let usage = sender.usage();
    assert_eq!((usage.endpoints.used, usage.endpoints_of_user.used), (4, 4));
    assert!(usage.endpoints_of_user.limit < usage.endpoints.limit);
    let added = usage.directory.used - before.directory.used;
    assert!((30_000..31_000).contains(&added), "{added}");
    assert_eq!(usage.directory_of_user.used, usage.directory.used);
    assert!(usage.directory_of_user.limit < usage.directory.limit);
    assert!(usage.label.left() > 0 && usage.directory.left() > 0);
    drop(others);
    eventually("it is as before", before, || sender.usage());
}

#[test]
fn parked_messages_are_told_as_the_controller_counts_them() {
    let bus = Bus::new();
    let (sender, _receiver) = join::<String, ()>(bus.options(label!("sender")));
    let (parked, why) = park_all(&sender, || to_be_parked("hello".to_owned()));
    let usage = sender.usage();
    assert_eq!(
        (usage.parked_messages.used, usage.parked_messages.left()),
        (parked, 0)
    );
    assert_eq!(usage.parked_objects.used, 0);
    let told = format!("{} messages", usage.parked_messages);
    assert!(why.contains(&told), "{why}: {told}");
    // They arrive, and are told no more.
    let late = join::<(), String>(bus.options(label!("late")));
    eventually("nothing is parked", (0, 0), || {
        let usage = sender.usage();
        (usage.parked_messages.used, usage.parked_bytes.used)
    });
    drop(late);
}

#[test]
fn parked_bytes_are_told_as_the_controller_counts_them() {
    let bus = Bus::new();
    let (sender, _receiver) = join::<BytesMessage, ()>(bus.options(label!("sender")));
    for len in [3_000_000, 100] {
        let make = || {
            to_be_parked(BytesMessage {
                format: 0,
                data: vec![0; len],
            })
        };
        let (parked, why) = park_all(&sender, make);
        let usage = sender.usage();
        assert!(parked > 0 && usage.parked_bytes.left() < len as u64 + 1000);
        let told = format!("{} bytes", usage.parked_bytes);
        assert!(why.contains(&told), "{why}: {told}");
    }
}

#[test]
fn parked_objects_are_told_as_the_controller_counts_them() {
    let bus = Bus::new();
    let (sender, _receiver) = join::<BytesMessage, ()>(bus.options(label!("sender")));
    // Its bytes are an object, too.
    let make = || {
        let mut message = to_be_parked(BytesMessage {
            format: 0,
            data: vec![0; 100_000],
        });
        message.objects.extend((0..100).map(|_| null()));
        message
    };
    let (parked, why) = park_all(&sender, make);
    let usage = sender.usage();
    assert_eq!(usage.parked_objects.used, 101 * parked);
    assert!(usage.parked_objects.left() < 101);
    let told = format!("{} objects", usage.parked_objects);
    assert!(why.contains(&told), "{why}: {told}");
}

#[test]
fn what_waits_in_an_inbox_is_told_for_each_sender() {
    let bus = Bus::new();
    let options = bus.options(label!("receiver")).with_inbox_budget(1 << 20);
    let (_, receiver) = join::<(), String>(options);
    assert!(receiver.usage().senders.is_empty());
    let senders = [(); 2].map(|()| join::<String, ()>(bus.options(label!("sender"))));
    for ((sender, _), count) in senders.iter().zip([1, 30]) {
        for _ in 0..count {
            let text = "x".repeat(10_000);
            sender
                .send(Message::new(Selector::unicast("receiver"), text))
                .unwrap();
        }
    }
    for ((sender, _), count) in senders.iter().zip([1, 30]) {
        let usage = sender.usage();
        let expected = 10_000 * count..10_100 * count;
        assert!(expected.contains(&usage.unread()), "{usage:?}");
        let [of_receiver] = usage.receivers[..] else {
            panic!("{usage:?}");
        };
        assert_eq!(of_receiver.pid, std::process::id());
        assert_eq!(of_receiver.lanes.limit, 2 << 20);
        assert!(of_receiver.lanes.used >= usage.unread() && of_receiver.lanes.left() > 0);
    }
    // Its driver hears of them.
    eventually("senders of which something waits", 2, || {
        let usage = receiver.usage();
        usage.senders.iter().filter(|it| it.unread > 0).count()
    });
    let usage = receiver.usage();
    // The lane of one of them was replaced when it was full.
    assert!((20_000..110_000).contains(&usage.unread()), "{usage:?}");
    for sender in &usage.senders {
        assert_eq!(sender.pid, std::process::id());
        assert_eq!(
            (sender.mapped.used, sender.mapped.limit),
            (64 << 10, 2 << 20)
        );
        assert_eq!(sender.lanes.used, 1);
    }
    for _ in 0..31 {
        receiver.recv(Some(DEADLINE)).unwrap();
    }
    assert_eq!(receiver.usage().unread(), 0);
    for (sender, _) in senders {
        assert_eq!(sender.usage().unread(), 0);
    }
}

/// What the only sender has the receiver keep.
fn only_sender<R: MessageBox>(receiver: &EndpointReceiver<R>) -> SenderUsage {
    let usage = receiver.usage();
    assert_eq!(usage.senders.len(), 1);
    usage.senders[0]
}

#[test]
fn loans_and_regions_that_are_kept_are_told() {
    let bus = Bus::new();
    let (_, receiver) = join::<(), Bytes>(bus.options(label!("receiver")));
    let (sender, _receiver) = join::<Bytes, ()>(bus.options(label!("sender")));
    let mut registry = MemoryRegistry::default();
    let mut kept = Vec::new();
    for count in 1..=5 {
        let mut message = Message::new(
            Selector::unicast("receiver"),
            sender.loan(10_000).unwrap().freeze(),
        );
        message.memory_regions.push(registry.alloc(4096, None));
        sender.send(message).unwrap();
        kept.push(receiver.recv(Some(DEADLINE)).unwrap());
        let usage = only_sender(&receiver);
        assert_eq!((usage.loans.used, usage.regions.used), (count, count));
        assert_eq!(sender.usage().receivers[0].loans, usage.loans);
    }
    kept.clear();
    assert_eq!(only_sender(&receiver).loans.used, 0);
    assert_eq!(sender.usage().receivers[0].loans.used, 0);
}

#[test]
fn who_sleeps_in_recv_is_woken_to_tell_and_sleeps_on() {
    let bus = Bus::new();
    let (_, receiver) = join::<(), String>(bus.options(label!("receiver")));
    let (sender, _receiver) = join::<String, ()>(bus.options(label!("sender")));
    let send = |text: &str| {
        let message = Message::new(Selector::unicast("receiver"), text.to_owned());
        sender.send(message).unwrap();
    };
    send("first");
    receiver.recv(Some(DEADLINE)).unwrap();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get() as u32)
                .unwrap();
            receiver.recv(Some(DEADLINE)).unwrap().payload
        });
        let thread = told.recv().unwrap();
        for _ in 0..100 {
            eventually("it sleeps", State::Sleeping, || thread_state(thread));
            assert_eq!(receiver.usage().senders.len(), 1);
            assert_eq!(receiver.statistics().skipped, 0);
        }
        send("second");
        assert_eq!(waiting.join().unwrap(), "second");
    });
}

#[test]
fn a_lane_that_has_come_to_its_budget_is_not_replaced() {
    const MESSAGES: u64 = 300_000;
    let bus = Bus::new();
    let options = bus.options(label!("receiver")).with_inbox_budget(64 << 10);
    let (_, receiver) = join::<(), u64>(options);
    let (sender, _receiver) = join::<u64, ()>(bus.options(label!("sender")));
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MESSAGES {
                assert_eq!(receiver.recv(Some(DEADLINE)).unwrap().payload, number);
            }
        });
        for number in 0..MESSAGES {
            sender
                .send(Message::new(Selector::unicast("receiver"), number))
                .unwrap();
            if number % 100 == 0 {
                let lanes = sender.usage().receivers[0].lanes;
                assert_eq!((lanes.used, lanes.limit), (64 << 10, 128 << 10));
            }
        }
    });
}

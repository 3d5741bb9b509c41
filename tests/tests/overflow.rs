//! What becomes of messages for a receiver that does not read: who waits, and what is dropped.

use ipmb::{BytesMessage, EndpointReceiver, Message, Options, Overflow, label};
use ipmb_tests::{Bus, DEADLINE, Peer, proc::eventually};
use std::{ops::Range, time::Duration};

/// Milliseconds that are longer than anything takes that needs not wait.
const LONG: u64 = 30_000;
/// Milliseconds after which one that waits will not go on.
const SHORT: u64 = 100;

/// As small as budgets get: 64 KiB.
const SMALL: u64 = 1;

#[test]
fn block_lets_the_sender_wait_and_loses_nothing() {
    for budget in [SMALL, 256 << 10, 1 << 20] {
        let bus = Bus::new();
        let receiver = join(&bus, "slow", Overflow::Block, budget);
        let mut filler = filler(&bus, 0);
        let sent = waited(fill(&mut filler, "slow", 1_000_000, 1000, SHORT));
        let budget = budget.max(64 << 10);
        // It has grown to its budget; smaller lanes that came before it are full, too.
        let room = (budget / 1040..budget * 2 / 1000).contains(&sent);
        assert!(room, "{sent} messages in {budget} bytes");
        assert_eq!(filler.ask("try slow 1 1000"), "refused 0");
        take(&receiver, 0, 0..sent / 2);
        // There is room for as many again.
        let more = waited(fill(&mut filler, "slow", 1_000_000, 1000, SHORT));
        assert!(more > 0);
        take(&receiver, 0, sent / 2..sent + more);
        assert_empty(&receiver, 0);
        filler.finish();
    }
}

#[test]
fn block_lets_the_sender_go_on_as_soon_as_there_is_room() {
    const COUNT: u64 = 20_000;
    let bus = Bus::new();
    let receiver = join(&bus, "slow", Overflow::Block, SMALL);
    let mut filler = filler(&bus, 0);
    for round in 0..3 {
        filler.tell(&format!("fill slow {COUNT} 1000 0 0 {LONG}"));
        take(&receiver, 0, round * COUNT..(round + 1) * COUNT);
        filler.expect(&format!("sent {COUNT}"));
    }
    assert_empty(&receiver, 0);
    filler.finish();
}

#[test]
fn block_lets_wait_only_those_who_send_to_the_slow_one() {
    let bus = Bus::new();
    let slow = join(&bus, "slow", Overflow::Block, SMALL);
    let quick = join(&bus, "quick", Overflow::Block, SMALL);
    let mut first = filler(&bus, 1);
    let mut second = filler(&bus, 2);
    let sent = waited(fill(&mut first, "slow", 1_000_000, 1000, SHORT));
    first.tell("fill slow 1 1000 0 0 60000");
    // Another sender has room of its own at the slow one, and all the room at others.
    assert_eq!(fill(&mut second, "slow", sent, 1000, LONG), sent_all(sent));
    // The end of the ring, wherever it comes, may take the room of one message.
    let most = sent - 1;
    for round in 0..20 {
        let numbers = sent + most * round..sent + most * (round + 1);
        assert_eq!(fill(&mut second, "quick", most, 1000, LONG), sent_all(most));
        take(&quick, 2, numbers);
    }
    let mut next = [0, 0];
    while next != [sent + 1, sent] {
        let message = slow.recv(Some(DEADLINE)).unwrap();
        let next = &mut next[usize::from(message.payload.format) - 1];
        check(&message.payload, message.payload.format, *next);
        *next += 1;
    }
    first.expect("sent 1");
    [first, second].into_iter().for_each(Peer::finish);
}

#[test]
fn block_takes_back_what_a_sender_gave_up_half_way() {
    let bus = Bus::new();
    let receiver = join(&bus, "slow", Overflow::Block, SMALL);
    let mut filler = filler(&bus, 0);
    let mut next = 0;
    for _ in 0..10 {
        let before = waited(fill(&mut filler, "slow", 20, 1000, SHORT).replace("sent", "waited"));
        // Longer than the lane, so that it has to stream: it is given up.
        assert_eq!(fill(&mut filler, "slow", 1, 1 << 20, SHORT), "waited 0");
        take(&receiver, 0, next..next + before);
        next += before;
        assert_eq!(fill(&mut filler, "slow", 1, 0, LONG), "sent 1");
        take(&receiver, 0, next..next + 1);
        next += 1;
    }
    assert_empty(&receiver, 0);
    filler.finish();
}

#[test]
fn drop_newest_keeps_the_oldest_and_nobody_waits() {
    const COUNT: u64 = 20_000;
    for budget in [SMALL, 256 << 10, 1 << 20] {
        let bus = Bus::new();
        let receiver = join(&bus, "slow", Overflow::DropNewest, budget);
        let mut filler = filler(&bus, 0);
        let sent = sent_all(COUNT);
        assert_eq!(fill(&mut filler, "slow", COUNT, 1000, LONG), sent);
        let kept = take_run(&receiver, 0..COUNT, 0);
        let budget = budget.max(64 << 10);
        let fits = (budget / 1040..budget * 2 / 1000).contains(&kept);
        assert!(fits, "{kept} messages in {budget} bytes");
        assert_empty(&receiver, COUNT - kept);
        // There is room again.
        assert_eq!(fill(&mut filler, "slow", 10, 1000, LONG), "sent 10");
        take(&receiver, 0, COUNT..COUNT + 10);
        assert_empty(&receiver, COUNT - kept);
        filler.finish();
    }
}

#[test]
fn drop_oldest_keeps_the_newest_and_nobody_waits() {
    const COUNT: u64 = 20_000;
    for budget in [SMALL, 256 << 10, 1 << 20] {
        let bus = Bus::new();
        let receiver = join(&bus, "slow", Overflow::DropOldest, budget);
        let mut filler = filler(&bus, 0);
        let sent = sent_all(COUNT);
        assert_eq!(fill(&mut filler, "slow", COUNT, 1000, LONG), sent);
        let first = take_one(&receiver, 0);
        let budget = budget.max(64 << 10);
        let kept = COUNT - first;
        let fits = (budget / 1100..=budget / 1000).contains(&kept);
        assert!(fits, "{kept} messages in {budget} bytes");
        take(&receiver, 0, first + 1..COUNT);
        assert_empty(&receiver, first);
        assert_eq!(fill(&mut filler, "slow", 10, 1000, LONG), "sent 10");
        take(&receiver, 0, COUNT..COUNT + 10);
        assert_empty(&receiver, first);
        filler.finish();
    }
}

#[test]
fn nobody_waits_for_messages_that_take_several_fragments() {
    // A quarter of the lane goes in one piece; these do not.
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        for bytes in [16 << 10, 20 << 10, 40 << 10] {
            const COUNT: u64 = 500;
            let bus = Bus::new();
            let receiver = join(&bus, "slow", overflow, SMALL);
            let mut filler = filler(&bus, 0);
            // What is in the way are small ones, so that the beginning of a large one always fits.
            for _ in 0..2 {
                assert_eq!(fill(&mut filler, "slow", 40, 1000, LONG), "sent 40");
                let sent = sent_all(COUNT);
                assert_eq!(fill(&mut filler, "slow", COUNT, bytes, LONG), sent);
            }
            let mut last = None;
            for message in drain(&receiver, 2 * (COUNT + 40)) {
                let number = number(&message.payload);
                check(&message.payload, 0, number);
                assert!(last.is_none_or(|last| last < number));
                last = Some(number);
            }
            assert!(last.is_some());
            if overflow == Overflow::DropOldest {
                assert_eq!(last, Some(2 * (COUNT + 40) - 1), "{bytes} bytes");
            }
            filler.finish();
        }
    }
}

#[test]
fn messages_beyond_the_budget_stream_under_every_policy() {
    const BYTES: u64 = 1 << 20;
    for overflow in [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest] {
        let bus = Bus::new();
        let receiver = join(&bus, "reader", overflow, SMALL);
        let mut filler = filler(&bus, 0);
        for number in 0..20 {
            filler.tell(&format!("fill reader 1 {BYTES} 0 0 {LONG}"));
            take(&receiver, 0, number..number + 1);
            filler.expect("sent 1");
        }
        assert_empty(&receiver, 0);
        filler.finish();
    }
}

#[test]
fn counters_are_exact_while_messages_are_received_and_dropped() {
    const COUNT: u64 = 200_000;
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let bus = Bus::new();
        let receiver = join(&bus, "slow", overflow, SMALL);
        let mut fillers: Vec<Peer> = (0..3).map(|number| filler(&bus, number)).collect();
        for filler in &mut fillers {
            filler.tell(&format!("fill slow {COUNT} 100 0 0 {LONG}"));
        }
        let mut next = [0; 3];
        let mut received = 0;
        let mut done = 0;
        while done < 3 {
            match receiver.recv(Some(Duration::from_millis(200))) {
                Ok(message) => {
                    let sender = message.payload.format;
                    let number = number(&message.payload);
                    check(&message.payload, sender, number);
                    assert!(number >= next[usize::from(sender)]);
                    next[usize::from(sender)] = number + 1;
                    received += 1;
                }
                Err(_) => {
                    fillers[done].expect(&sent_all(COUNT));
                    done += 1;
                }
            }
        }
        received += drain(&receiver, 3 * COUNT - received).len() as u64;
        println!(
            "{overflow:?}: of {} messages {received} were received, the others counted",
            3 * COUNT
        );
        fillers.into_iter().for_each(Peer::finish);
    }
}

#[test]
fn each_sender_has_its_own_room() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let bus = Bus::new();
        let receiver = join(&bus, "slow", overflow, SMALL);
        let mut loud = filler(&bus, 1);
        let mut quiet = filler(&bus, 2);
        assert_eq!(fill(&mut quiet, "slow", 30, 1000, LONG), "sent 30");
        assert_eq!(fill(&mut loud, "slow", 5000, 1000, LONG), "sent 5000");
        assert_eq!(fill(&mut quiet, "slow", 30, 1000, LONG), "sent 30");
        let mut of_the_quiet_one = 0;
        for message in drain(&receiver, 5060) {
            if message.payload.format == 2 {
                check(&message.payload, 2, of_the_quiet_one);
                of_the_quiet_one += 1;
            }
        }
        assert_eq!(of_the_quiet_one, 60);
        [loud, quiet].into_iter().for_each(Peer::finish);
    }
}

#[test]
fn the_dropped_are_counted_when_their_sender_has_left() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        for killed in [false, true] {
            let bus = Bus::new();
            let receiver = join(&bus, "slow", overflow, SMALL);
            let mut filler = filler(&bus, 0);
            assert_eq!(fill(&mut filler, "slow", 5000, 1000, LONG), "sent 5000");
            match killed {
                true => filler.kill(),
                false => filler.finish(),
            }
            assert!(!drain(&receiver, 5000).is_empty());
        }
    }
}

#[test]
fn objects_of_dropped_messages_are_closed() {
    const COUNT: u64 = 200;
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        for objects in [1, 5] {
            let bus = Bus::new();
            let receiver = join(&bus, "slow", overflow, SMALL);
            let mut filler = filler(&bus, 0);
            let order = format!("fill slow {COUNT} 1000 {objects} 0 {LONG}");
            assert_eq!(filler.ask(&order), sent_all(COUNT));
            let mut held = drain(&receiver, COUNT);
            assert!(held.iter().all(|message| message.objects.len() == objects));
            let of_held = |count: usize| (count * objects).to_string();
            // Those that were dropped are closed, those that were received are not.
            assert_eq!(filler.ask("open"), of_held(held.len()));
            held.drain(..10);
            assert_eq!(filler.ask("open"), of_held(held.len()));
            drop(held);
            assert_eq!(filler.ask("open"), "0");
            filler.finish();
        }
    }
}

#[test]
fn nobody_waits_when_objects_pile_up() {
    const COUNT: u64 = 2000;
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let bus = Bus::new();
        // The lane has room for all of them, but the kernel does not take as many objects.
        let receiver = join(&bus, "slow", overflow, 16 << 20);
        let mut filler = filler(&bus, 0);
        let order = format!("fill slow {COUNT} 1000 3 0 {LONG}");
        assert_eq!(filler.ask(&order), sent_all(COUNT));
        let messages = drain(&receiver, COUNT);
        assert!(messages.iter().all(|message| message.objects.len() == 3));
        let received = messages.len();
        assert!(received > 0);
        drop(messages);
        assert_eq!(filler.ask("open"), "0");
        println!("{overflow:?}: {received} of {COUNT} messages with objects fit");
        filler.finish();
    }
}

#[test]
fn holds_of_dropped_messages_are_given_back() {
    const COUNT: u64 = 5000;
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        for regions in [1, 3] {
            let bus = Bus::new();
            let receiver = join(&bus, "slow", overflow, SMALL);
            let mut filler = filler(&bus, 0);
            let order = format!("fill slow {COUNT} 1000 0 {regions} {LONG}");
            assert_eq!(filler.ask(&order), sent_all(COUNT));
            // The sender's own, and those of the messages that wait.
            let on_the_way = filler.ask("holders").parse::<usize>().unwrap() - 1;
            let mut held = drain(&receiver, COUNT);
            for message in &mut held {
                assert_eq!(message.memory_regions.len(), regions);
                for region in &mut message.memory_regions {
                    assert_eq!(region.map(..).unwrap().len(), 100);
                }
            }
            assert_eq!(on_the_way, held.len() * regions);
            assert_eq!(
                filler.ask("holders"),
                (held.len() * regions + 1).to_string()
            );
            held.drain(..10);
            assert_eq!(
                filler.ask("holders"),
                (held.len() * regions + 1).to_string()
            );
            drop(held);
            assert_eq!(filler.ask("holders"), "1");
            // It goes on with regions that are known by now.
            let order = format!("fill slow 10 1000 0 {regions} {LONG}");
            assert_eq!(filler.ask(&order), "sent 10");
            for _ in 0..10 {
                let mut message = receiver.recv(Some(DEADLINE)).unwrap();
                let region = message.memory_regions.first_mut().unwrap();
                region.map(..).unwrap();
            }
            assert_eq!(filler.ask("holders"), "1");
            filler.finish();
        }
    }
}

#[test]
fn regions_are_there_while_messages_are_received_and_dropped() {
    const COUNT: u64 = 50_000;
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let bus = Bus::new();
        let receiver = join(&bus, "slow", overflow, SMALL);
        let mut filler = filler(&bus, 0);
        filler.tell(&format!("fill slow {COUNT} 500 0 2 {LONG}"));
        let mut received = 0;
        loop {
            let message = receiver.recv(Some(Duration::from_millis(200)));
            let Ok(mut message) = message else { break };
            for region in &mut message.memory_regions {
                assert_eq!(region.map(..).unwrap().len(), 100);
            }
            received += 1;
        }
        filler.expect(&sent_all(COUNT));
        received += drain(&receiver, COUNT - received).len() as u64;
        assert_eq!(filler.ask("holders"), "1");
        println!("{overflow:?}: {received} of {COUNT} messages with regions were received");
        filler.finish();
    }
}

#[test]
fn regions_of_a_message_that_was_given_up_half_way_are_shown_again() {
    let bus = Bus::new();
    let receiver = join(&bus, "slow", Overflow::Block, SMALL);
    let mut filler = filler(&bus, 0);
    let given_up = format!("fill slow 1 {} 1 1 {SHORT}", 1 << 20);
    assert_eq!(filler.ask(&given_up), "waited 0");
    filler.tell(&format!("fill slow 2 1000 1 1 {LONG}"));
    for number in 0..2 {
        let mut message = receiver.recv(Some(DEADLINE)).unwrap();
        check(&message.payload, 0, number);
        assert_eq!(message.objects.len(), 1);
        assert_eq!(message.memory_regions[0].map(..).unwrap().len(), 100);
    }
    filler.expect("sent 2");
    assert_eq!(filler.ask("holders"), "1");
    assert_eq!(filler.ask("open"), "0");
    assert_empty(&receiver, 0);
    filler.finish();
}

#[test]
fn attachments_that_are_never_received_are_given_back_with_the_receiver() {
    for overflow in [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest] {
        let bus = Bus::new();
        let receiver = join(&bus, "slow", overflow, SMALL);
        let mut filler = filler(&bus, 0);
        filler.ask(&format!("fill slow 200 1000 1 1 {SHORT}"));
        assert_ne!(filler.ask("open"), "0");
        drop(receiver);
        // It notices when it is told, or when it sends the next time.
        eventually("objects", "0".to_owned(), || filler.ask("open"));
        eventually("holders", "1".to_owned(), || {
            filler.ask("fill slow 1 0 0 0 0");
            filler.ask("holders")
        });
        filler.finish();
    }
}

fn join(bus: &Bus, label: &str, overflow: Overflow, budget: u64) -> EndpointReceiver<BytesMessage> {
    let options: Options = bus.options(label!(label));
    let options = options.with_overflow(overflow).with_inbox_budget(budget);
    let (_, receiver) = ipmb::join::<(), _>(options, Some(DEADLINE)).unwrap();
    receiver
}

fn filler(bus: &Bus, number: u16) -> Peer {
    let filler = bus.peer("filler", &[&number.to_string()]);
    filler.expect("joined");
    filler
}

fn fill(filler: &mut Peer, to: &str, count: u64, bytes: u64, timeout: u64) -> String {
    filler.ask(&format!("fill {to} {count} {bytes} 0 0 {timeout}"))
}

fn sent_all(count: u64) -> String {
    format!("sent {count}")
}

/// How many it has sent before it had to wait.
fn waited(answer: String) -> u64 {
    let sent = answer.strip_prefix("waited ").map(str::parse);
    match sent {
        Some(Ok(sent)) => sent,
        _ => panic!("it did not wait: {answer}"),
    }
}

/// Receives messages with these numbers, in this order.
fn take(receiver: &EndpointReceiver<BytesMessage>, sender: u16, numbers: Range<u64>) {
    for number in numbers {
        let message = receiver.recv(Some(DEADLINE)).unwrap();
        check(&message.payload, sender, number);
    }
}

/// Receives the next one, whichever it is.
fn take_one(receiver: &EndpointReceiver<BytesMessage>, sender: u16) -> u64 {
    let message = receiver.recv(Some(DEADLINE)).unwrap();
    let number = number(&message.payload);
    check(&message.payload, sender, number);
    number
}

/// Receives as many as there are, in order and without a gap. Returns how many.
fn take_run(receiver: &EndpointReceiver<BytesMessage>, numbers: Range<u64>, sender: u16) -> u64 {
    take(receiver, sender, numbers.start..numbers.start + 1);
    for number in numbers.start + 1..numbers.end {
        match receiver.try_recv().unwrap() {
            Some(message) => check(&message.payload, sender, number),
            None => return number - numbers.start,
        }
    }
    numbers.end - numbers.start
}

/// Receives all that were sent, but for those that were dropped: each is the one or the other.
fn drain(receiver: &EndpointReceiver<BytesMessage>, sent: u64) -> Vec<Message<BytesMessage>> {
    let mut messages = Vec::new();
    // At first contact the receiver's driver may still have to fetch the lane.
    eventually("messages", sent, || {
        while let Some(message) = receiver.try_recv().unwrap() {
            messages.push(message);
        }
        messages.len() as u64 + receiver.statistics().dropped
    });
    assert_empty(receiver, sent - messages.len() as u64);
    messages
}

fn assert_empty(receiver: &EndpointReceiver<BytesMessage>, dropped: u64) {
    assert!(receiver.try_recv().unwrap().is_none());
    let statistics = receiver.statistics();
    assert_eq!(statistics.dropped, dropped);
    assert_eq!(statistics.cut_off, 0);
}

fn number(message: &BytesMessage) -> u64 {
    u64::from_le_bytes(*message.data.first_chunk().unwrap())
}

fn check(message: &BytesMessage, sender: u16, number: u64) {
    assert_eq!((message.format, self::number(message)), (sender, number));
    let filling = number as u8;
    assert!(message.data[8..].iter().all(|byte| *byte == filling));
}

//! The ledger of the chaos harness can fail: histories that are forged, each with one thing wrong,
//! and what it says to them. And it does not fail: the same histories with nothing wrong.

use ipmb::SelectorMode::{Multicast, Unicast};
use ipmb_tests::{
    chaos::{
        ledger::{Kind, Ledger},
        record::{Contents, End, Event, Id, Outcome, Process, Record, Session, To},
        words::{Code, Words},
    },
    proc::Belongings,
};

const CONTENTS: Contents = Contents {
    size: 10,
    checksum: 77,
    objects: 1,
    regions: 0,
};

/// A history, written one event after the other: each takes a microsecond.
#[derive(Default)]
struct History {
    ledger: Ledger,
    time: u64,
    sent: u32,
}

impl History {
    /// A bus with a sender of name 0, and receivers of name 1, joined one after the other.
    fn with(receivers: u32) -> Self {
        let mut history = Self::default();
        (0..=receivers).for_each(|process| history.join(process));
        history
    }

    fn add(&mut self, event: Event) {
        self.time += 1000;
        let time = self.time;
        self.ledger.add(Record { time, event });
    }

    fn pass(&mut self, milliseconds: u64) {
        self.time += milliseconds * 1_000_000;
    }

    fn join(&mut self, process: u32) {
        self.join_as(process, u64::from(process > 0));
    }

    fn join_as(&mut self, process: u32, name: u64) {
        self.add(Event::Joining(session(process), Words(words(name))));
        self.add(Event::Joined(session(process)));
    }

    fn kill(&mut self, process: u32) {
        self.add(Event::Killing(Process(process)));
        self.add(Event::Dead(Process(process)));
    }

    fn leave(&mut self, process: u32) {
        self.add(Event::Leaving(session(process)));
        self.add(Event::Left(session(process)));
    }

    fn begin(&mut self, to: To) -> Id {
        let id = Id::of(session(0), 0, self.sent);
        self.sent += 1;
        self.add(Event::Sending(id, to, CONTENTS));
        id
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        self.add(Event::Returned(id, outcome));
    }

    fn send(&mut self, to: To) -> Id {
        let id = self.begin(to);
        self.end(id, Outcome::Sent);
        id
    }

    fn receive(&mut self, process: u32, id: Id) {
        self.add(Event::Received(session(process), id, CONTENTS));
    }

    /// What the ledger has against it.
    fn faults(&self) -> Vec<Kind> {
        let verdict = self.ledger.judge();
        verdict.faults.iter().map(|fault| fault.kind).collect()
    }
}

fn session(process: u32) -> Session {
    Session::of(Process(process), 0)
}

/// The word that the expression of this name looks for.
fn words(name: u64) -> u64 {
    let matches = |words: &u64| Code::of_name(name).expression().matches(Words(*words));
    (0..64).map(|bit| 1 << bit).find(matches).expect("a word")
}

fn to(mode: ipmb::SelectorMode, ttl: u32) -> To {
    To::Selector {
        code: Code::of_name(1),
        mode,
        ttl: ttl * 1000,
        asks: false,
    }
}

fn request() -> To {
    To::Selector {
        code: Code::of_name(1),
        mode: Unicast,
        ttl: 0,
        asks: true,
    }
}

#[test]
fn what_arrives_as_it_should_is_no_fault() {
    let mut history = History::with(2);
    for _ in 0..3 {
        let one = history.send(to(Unicast, 0));
        let all = history.send(to(Multicast, 0));
        history.receive(1, one);
        history.receive(1, all);
        history.receive(2, all);
    }
    assert_eq!(history.faults(), []);
    let tally = history.ledger.judge().tally;
    assert_eq!((tally.sent, tally.due, tally.delivered), (6, 9, 9));
}

#[test]
fn lost() {
    let mut history = History::with(2);
    let one = history.send(to(Unicast, 0));
    assert_eq!(history.faults(), [Kind::Lost]);
    history.receive(1, one);
    assert_eq!(history.faults(), []);
    let all = history.send(to(Multicast, 0));
    history.receive(2, all);
    assert_eq!(history.faults(), [Kind::Lost]);
}

#[test]
fn lost_although_the_sender_is_dead() {
    let mut history = History::with(1);
    history.send(to(Unicast, 0));
    history.kill(0);
    assert_eq!(history.faults(), [Kind::Lost]);
}

#[test]
fn not_lost_but_not_finished() {
    let mut history = History::with(1);
    history.begin(to(Unicast, 0));
    assert_eq!(history.faults(), [Kind::Stuck]);
    history.kill(0);
    assert_eq!(history.faults(), []);
    assert_eq!(history.ledger.judge().tally.unfinished, 1);
}

#[test]
fn unread_by_the_dead_and_a_gap_before_what_they_read() {
    for mode in [Unicast, Multicast] {
        let mut history = History::with(1);
        let first = history.send(to(mode, 0));
        let second = history.send(to(mode, 0));
        history.kill(1);
        assert_eq!(history.faults(), []);
        assert_eq!(history.ledger.judge().tally.unread, 2);
        history.receive(1, second);
        assert_eq!(history.faults().contains(&Kind::Lost), mode == Multicast);
        history.receive(1, first);
        assert_eq!(history.faults(), [Kind::OutOfOrder]);
    }
    // Nobody else could have had it, and this one did not get it.
    let mut history = History::with(2);
    history.send(to(Unicast, 0));
    let second = history.send(to(Unicast, 0));
    history.receive(1, second);
    history.kill(1);
    assert_eq!(history.faults(), [Kind::Lost]);
}

#[test]
fn the_death_of_others_excuses_nothing() {
    let mut history = History::with(2);
    history.send(to(Unicast, 0));
    // This one is not the first, so it cannot have been for him.
    history.kill(2);
    assert_eq!(history.faults(), [Kind::Lost]);
}

#[test]
fn sent_to_one_who_is_dead_for_long() {
    let mut history = History::with(2);
    history.kill(1);
    history.pass(1_000);
    history.send(to(Unicast, 0));
    assert_eq!(history.faults(), []);
    history.pass(10_000);
    history.send(to(Unicast, 0));
    assert_eq!(history.faults(), [Kind::Lost]);
    // Nobody could notice.
    let mut history = History::with(2);
    history.kill(1);
    history.add(Event::Stopping(Process(2)));
    history.pass(10_000);
    history.add(Event::Continuing(Process(2)));
    history.send(to(Unicast, 0));
    assert_eq!(history.faults(), []);
}

#[test]
fn twice() {
    let mut history = History::with(2);
    let all = history.send(to(Multicast, 0));
    for process in [1, 2] {
        history.receive(process, all);
    }
    assert_eq!(history.faults(), []);
    history.receive(2, all);
    assert_eq!(history.faults(), [Kind::Twice]);
    let mut history = History::with(1);
    let one = history.send(to(Unicast, 0));
    for process in [1, 1] {
        history.receive(process, one);
    }
    assert_eq!(history.faults(), [Kind::Twice]);
}

#[test]
fn a_unicast_to_two() {
    let mut history = History::default();
    history.join(0);
    // They join at the same time: either may be the first, but not both.
    for it in [1, 2] {
        history.add(Event::Joining(session(it), Words(words(1))));
    }
    for it in [1, 2] {
        history.add(Event::Joined(session(it)));
    }
    let one = history.send(to(Unicast, 0));
    history.receive(2, one);
    assert_eq!(history.faults(), []);
    history.receive(1, one);
    assert_eq!(history.faults(), [Kind::Twice]);
}

#[test]
fn swapped() {
    let mut history = History::with(1);
    let first = history.send(to(Unicast, 0));
    let second = history.send(to(Multicast, 0));
    history.receive(1, second);
    history.receive(1, first);
    assert_eq!(history.faults(), [Kind::OutOfOrder]);
}

#[test]
fn calls_that_overlap_have_no_order() {
    let mut history = History::with(1);
    let [first, second] = [(); 2].map(|()| history.begin(to(Unicast, 0)));
    for id in [first, second] {
        history.end(id, Outcome::Sent);
    }
    for id in [second, first] {
        history.receive(1, id);
    }
    assert_eq!(history.faults(), []);
}

#[test]
fn wrong_receiver() {
    let mut history = History::with(1);
    let one = history.send(to(Unicast, 0));
    history.receive(0, one);
    assert_eq!(history.faults(), [Kind::WrongReceiver]);
}

#[test]
fn not_the_first() {
    let mut history = History::with(2);
    let one = history.send(to(Unicast, 0));
    history.receive(2, one);
    assert_eq!(history.faults(), [Kind::NotTheFirst]);
    // The first may have been gone already.
    history.kill(1);
    assert_eq!(history.faults(), [Kind::NotTheFirst]);
    let mut history = History::with(2);
    history.kill(1);
    let one = history.send(to(Unicast, 0));
    history.receive(2, one);
    assert_eq!(history.faults(), []);
}

#[test]
fn parked() {
    let mut history = History::default();
    history.join(0);
    let one = history.send(to(Unicast, 100));
    assert_eq!(history.faults(), []);
    history.join(1);
    history.join(2);
    assert_eq!(history.faults(), [Kind::Lost]);
    history.receive(2, one);
    assert_eq!(history.faults(), [Kind::NotTheFirst]);
    // It may have been held back behind another one until the first was gone.
    let mut history = History::default();
    history.join(0);
    let one = history.send(to(Unicast, 100));
    history.join(1);
    history.join(2);
    history.kill(1);
    history.receive(2, one);
    assert_eq!(history.faults(), []);
}

#[test]
fn parked_and_lost_with_two() {
    let mut history = History::with(0);
    history.add(Event::Joining(session(9), Words(0)));
    history.add(Event::Joined(session(9)));
    history.send(to(Unicast, 100));
    history.kill(0);
    history.join(1);
    assert_eq!(history.faults(), [Kind::Lost]);
    history.kill(9);
    assert_eq!(history.faults(), []);
    assert_eq!(history.ledger.judge().tally.orphaned, 1);
    // Or with one that was both.
    let mut history = History::with(0);
    history.send(to(Unicast, 100));
    history.add(Event::Serving(Process(0)));
    history.kill(0);
    history.join(1);
    assert_eq!(history.faults(), []);
}

#[test]
fn expired() {
    let mut history = History::with(0);
    history.send(to(Unicast, 0));
    let late = history.send(to(Unicast, 100));
    history.pass(200);
    history.join(1);
    assert_eq!(history.faults(), []);
    history.receive(1, late);
    assert_eq!(history.faults(), [Kind::Late]);
    // The controller has changed, be it that it stopped receiving before, and counts anew.
    let mut history = History::with(0);
    history.join_as(7, 0);
    history.add(Event::Leaving(session(7)));
    let late = history.send(to(Unicast, 100));
    history.add(Event::Left(session(7)));
    history.pass(1);
    history.join(1);
    history.receive(1, late);
    assert_eq!(history.faults(), []);
}

#[test]
fn arrived_although_refused() {
    let mut history = History::with(1);
    let one = history.begin(to(Unicast, 0));
    history.end(one, Outcome::NoRoom(0));
    assert_eq!(history.faults(), []);
    history.receive(1, one);
    assert_eq!(history.faults(), [Kind::Refused]);
    let mut history = History::with(2);
    let all = history.begin(to(Multicast, 0));
    history.end(all, Outcome::NoRoom(1));
    history.receive(1, all);
    assert_eq!(history.faults(), []);
    history.receive(2, all);
    assert_eq!(history.faults(), [Kind::Refused]);
}

#[test]
fn damaged() {
    let mut history = History::with(1);
    let one = history.send(to(Unicast, 0));
    let other = Contents {
        objects: 0,
        ..CONTENTS
    };
    history.add(Event::Received(session(1), one, other));
    assert_eq!(history.faults(), [Kind::Damaged]);
}

#[test]
fn never_sent() {
    let mut history = History::with(1);
    history.receive(1, Id::of(session(0), 0, 99));
    assert_eq!(history.faults(), [Kind::Unknown]);
    let mut history = History::with(1);
    let one = history.send(to(Unicast, 0));
    history.receive(1, one);
    history.ledger.begin_round();
    assert_eq!(history.faults(), []);
    history.receive(1, one);
    assert_eq!(history.faults(), [Kind::Unknown]);
}

#[test]
fn who_leaves_is_not_owed_anything_and_forgotten() {
    let mut history = History::with(2);
    history.leave(1);
    let one = history.send(to(Multicast, 0));
    assert_eq!(history.faults(), [Kind::Lost]);
    history.receive(2, one);
    assert_eq!(history.faults(), []);
    history.ledger.begin_round();
    let living: Vec<_> = history.ledger.living().collect();
    assert_eq!(living, [session(0), session(2)]);
}

#[test]
fn a_call_that_fails() {
    let mut history = History::with(1);
    let one = history.begin(to(Unicast, 0));
    history.end(one, Outcome::Failed);
    assert_eq!(history.faults(), [Kind::Failed]);
}

/// A request that has been received, and a reply to it.
fn asked(history: &mut History) -> (Id, Id) {
    let request = history.send(request());
    history.receive(1, request);
    let reply = Id::of(session(1), 3, 0);
    history.add(Event::Sending(reply, To::Asker(request), CONTENTS));
    history.add(Event::Returned(reply, Outcome::Sent));
    (request, reply)
}

#[test]
fn given_out_again() {
    let parked = || {
        let mut history = History::default();
        history.join(0);
        history.join_as(7, 0);
        let one = history.send(to(Unicast, 100));
        history.join(1);
        history.receive(1, one);
        (history, one)
    };
    let (mut history, one) = parked();
    history.kill(1);
    history.join(2);
    history.receive(2, one);
    // The controller that has given it out is there still.
    assert_eq!(history.faults(), [Kind::Twice]);
    let (mut history, one) = parked();
    history.kill(1);
    history.kill(7);
    history.join(2);
    history.receive(2, one);
    assert_eq!(history.faults(), []);
}

#[test]
fn dropped() {
    let mut history = History::default();
    history.join(0);
    let lossy = (0..64).map(|bit| Words(1 << bit));
    let lossy = lossy.into_iter().find(|it| it.is_lossy()).expect("a word");
    let words = Words(words(1) | lossy.0);
    history.add(Event::Joining(session(1), words));
    history.add(Event::Joined(session(1)));
    history.join(2);
    let one = history.send(to(Multicast, 0));
    assert_eq!(history.faults(), [Kind::Lost]);
    history.receive(2, one);
    let other = history.send(to(Unicast, 0));
    assert_eq!(history.faults(), []);
    assert_eq!(history.ledger.judge().tally.dropped, 2);
    history.receive(1, other);
    history.receive(1, other);
    assert_eq!(history.faults(), [Kind::Twice]);
    // Requests are not for it.
    let code = Code::of_name(1).reliable();
    assert!(!code.expression().matches(words));
}

#[test]
fn replies() {
    let mut history = History::with(1);
    let (request, reply) = asked(&mut history);
    assert_eq!(history.faults(), [Kind::NoReply]);
    history.add(Event::Over(request, End::Reply(reply)));
    assert_eq!(history.faults(), []);
    assert_eq!(history.ledger.judge().tally.answered, 1);
    // Whoever was asked is there, and has replied.
    history.add(Event::Over(request, End::PeerGone));
    assert_eq!(history.faults(), [Kind::NoReply, Kind::NotGone]);
    history.kill(1);
    assert_eq!(history.faults(), [Kind::NoReply]);
    history.add(Event::Over(request, End::Reply(Id::of(session(1), 3, 7))));
    assert!(history.faults().contains(&Kind::WrongReceiver));
    // Who replies after it has stopped receiving counts as gone.
    let mut history = History::with(1);
    let request = history.send(self::request());
    history.receive(1, request);
    history.add(Event::Leaving(session(1)));
    let reply = Id::of(session(1), 3, 0);
    history.add(Event::Sending(reply, To::Asker(request), CONTENTS));
    history.add(Event::Returned(reply, Outcome::Sent));
    history.add(Event::Over(request, End::PeerGone));
    assert_eq!(history.faults(), []);
}

#[test]
fn a_request_that_is_said_to_have_expired_and_was_received() {
    let mut history = History::with(1);
    let request = history.send(request());
    history.receive(1, request);
    history.add(Event::Over(request, End::Expired));
    assert_eq!(history.faults(), [Kind::Refused]);
    // With who had it everybody may be dead who knew that.
    history.kill(1);
    assert_eq!(history.faults(), [Kind::Refused]);
    history.add(Event::Over(request, End::Expired));
    assert_eq!(history.faults(), []);
}

#[test]
fn leaked() {
    let before = Belongings::of_this_process();
    let left = before.what_is_new();
    assert!(!left.contains("/dev/null"), "{left}");
    let file = std::fs::File::open("/dev/null").expect("it is there");
    let left = before.what_is_new();
    assert!(left.contains("1 descriptor of /dev/null"), "{left}");
    drop(file);
}

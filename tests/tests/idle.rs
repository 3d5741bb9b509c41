//! An idle bus uses no CPU: no thread of it does anything.

use ipmb_tests::{Bus, Peer, proc};
use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

/// So long nothing may happen.
const IDLE: Duration = Duration::from_secs(10);
/// What has not happened for so long is over.
const SETTLED: Duration = Duration::from_millis(300);

#[test]
fn twenty_endpoints_do_nothing() {
    let bus = Bus::new();
    let idlers = Idlers::start(&bus);
    idlers.assert_idle("20 endpoints that have just joined");
    idlers.finish();
}

#[test]
fn twenty_endpoints_do_nothing_after_traffic() {
    let bus = Bus::new();
    let mut idlers = Idlers::start(&bus);
    idlers.talk();
    idlers.assert_idle("20 endpoints that have talked to each other");
    idlers.talk();
    idlers.finish();
}

#[test]
fn twenty_endpoints_do_nothing_after_a_controller_died() {
    let bus = Bus::new();
    let mut controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let mut idlers = Idlers::start(&bus);
    idlers.talk();
    controller.kill();
    // Whoever speaks to somebody new makes sure that there is a controller again.
    let newcomer = bus.peer("idler", &["1", "recv"]);
    newcomer.expect("joined");
    idlers.0.push(newcomer);
    idlers.assert_idle("21 endpoints whose controller was killed");
    idlers.finish();
}

#[test]
fn nothing_happens_while_a_message_is_parked() {
    let bus = Bus::new();
    let mut idlers = Idlers::start(&bus);
    for idler in &mut idlers.0 {
        assert_eq!(idler.ask("talk nobody 3 3600000"), "talked");
    }
    idlers.assert_idle("20 endpoints that have parked messages");
    idlers.finish();
}

#[test]
fn nothing_happens_while_a_sender_waits_for_room() {
    let bus = Bus::new();
    let mut idlers = Idlers::start(&bus);
    let waiting = idlers.0.len() - 2;
    assert_eq!(idlers.0[waiting].ask("fill hold"), "waits");
    idlers.assert_idle("20 endpoints, one of which waits for room");
    // It would wait for ever.
    idlers.0.iter_mut().for_each(Peer::kill);
}

/// 20 endpoints in 6 processes, the first of which is the controller if nobody else is. They wait
/// in all the ways in which one can wait.
struct Idlers(Vec<Peer>);

impl Idlers {
    fn start(bus: &Bus) -> Self {
        let ways = [
            ("4", "recv"),
            ("4", "hold"),
            ("4", "poll"),
            ("1", "hold"),
            ("4", "recv"),
            ("3", "poll"),
        ];
        let start = |(count, way)| {
            let idler = bus.peer("idler", &[count, way]);
            idler.expect("joined");
            idler
        };
        Self(ways.map(start).into())
    }

    /// Everybody sends to everybody, until everything is received.
    fn talk(&mut self) {
        let before = self.received();
        for idler in &mut self.0 {
            assert_eq!(idler.ask("shout 5"), "shouted");
        }
        // From each of 20, 5 to each of the 15 who receive.
        proc::eventually("messages", before + 20 * 5 * 15, || self.received());
    }

    fn received(&mut self) -> u64 {
        let counts = self.0.iter_mut().map(|idler| idler.ask("count"));
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }

    fn assert_idle(&self, who: &str) {
        let start = Instant::now();
        let mut before = self.activity();
        loop {
            thread::sleep(SETTLED);
            let now = self.activity();
            if now == before {
                break;
            }
            assert!(start.elapsed() < ipmb_tests::DEADLINE, "{who} never settle");
            before = now;
        }
        let settled = start.elapsed();
        thread::sleep(IDLE);
        let after = self.activity();
        let busy: Vec<_> = (after.iter())
            .filter(|(thread, now)| before.get(*thread) != Some(*now))
            .map(|(thread, now)| format!("{thread:?}: {:?} -> {now:?}", before.get(thread)))
            .collect();
        assert!(busy.is_empty(), "{who}, in {IDLE:?}: {busy:#?}");
        let threads = after.len();
        println!("{who}: {threads} threads idle in {IDLE:?}, settled after {settled:?}");
    }

    /// What each thread of all processes has done so far.
    fn activity(&self) -> BTreeMap<(u32, u32), proc::Activity> {
        let of = |idler: &Peer| {
            let pid = idler.pid();
            let threads = proc::activity(pid).into_iter();
            threads.map(move |(thread, activity)| ((pid, thread), activity))
        };
        self.0.iter().flat_map(of).collect()
    }

    fn finish(self) {
        self.0.into_iter().for_each(Peer::finish);
    }
}

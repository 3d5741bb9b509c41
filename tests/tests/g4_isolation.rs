//! G4: an endpoint that is slow, stopped, crashed or hostile delays nobody but those who wait for
//! it.

use ipmb::{Message, Selector, SendError, label};
use ipmb_tests::{Bus, DEADLINE, Peer};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const ROUNDS: usize = 25;
const MESSAGES: u64 = 200_000;
const JOINS: usize = 40;

fn member(bus: &Bus, label: &str, target: &str) -> Peer {
    let peer = bus.peer("pump", &[label, target]);
    peer.expect("joined");
    peer
}

fn controller(bus: &Bus) -> Peer {
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    controller
}

/// One that is stopped, one that never reads, and a sender for each that waits for it.
fn stuck(bus: &Bus) -> [Peer; 4] {
    let stopped = member(bus, "stopped", "");
    let lazy = member(bus, "lazy", "");
    let mut to_stopped = member(bus, "to stopped", "stopped");
    let mut to_lazy = member(bus, "to lazy", "lazy");
    to_stopped.tell("fill");
    to_lazy.tell("fill");
    to_stopped.expect("full");
    to_lazy.expect("full");
    stopped.signal(Signal::STOP);
    [stopped, lazy, to_stopped, to_lazy]
}

/// Messages per second among the others.
fn throughput(source: &mut Peer, sink: &mut Peer) -> f64 {
    sink.tell("drain");
    assert_eq!(source.ask(&format!("pump {MESSAGES}")), "pumped");
    let nanoseconds: f64 = sink.line().parse().unwrap();
    MESSAGES as f64 * 1e9 / nanoseconds
}

fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[(values.len() as f64 * part) as usize]
}

#[test]
fn g4_who_is_stuck_does_not_slow_down_the_others() {
    let bus = Bus::new();
    let _controller = controller(&bus);
    let mut sink = member(&bus, "sink", "");
    let mut source = member(&bus, "source", "sink");
    throughput(&mut source, &mut sink);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // The better rounds count, as whatever else the machine does only slows them; and there are
    // more rounds when in doubt.
    let mut ratio = 0.0;
    while ratio < 0.9 && with.len() < 4 * ROUNDS {
        for _ in 0..ROUNDS {
            without.push(throughput(&mut source, &mut sink));
            let stuck = stuck(&bus);
            with.push(throughput(&mut source, &mut sink));
            drop(stuck);
        }
        let (without, with) = (quantile(&without, 0.8), quantile(&with, 0.8));
        ratio = with / without;
        println!("{without:.0} messages per second, {with:.0} beside the stuck: {ratio:.3}");
    }
    assert!(ratio >= 0.9, "{ratio}");
}

#[test]
fn g4_a_full_receiver_of_many_does_not_keep_the_message_from_the_others() {
    let bus = Bus::new();
    let _controller = controller(&bus);
    // First in the order of those that match.
    let full = member(&bus, "full", "");
    let mut filler = member(&bus, "filler", "full");
    let mut others: Vec<Peer> = (0..3).map(|_| member(&bus, "other", "")).collect();
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let (sender, _) = ipmb::join::<u64, ()>(options, Some(DEADLINE)).unwrap();
    full.signal(Signal::STOP);
    // The lane of another sender makes no difference, ours does.
    filler.tell("fill");
    filler.expect("full");
    let fill = || Message::new(Selector::unicast("full"), 1);
    let patience = Duration::from_millis(50);
    while sender.send_timeout(fill(), patience).is_ok() {}
    let selector = Selector::multicast(ipmb::LabelOp::from("full").or("other"));
    for other in &mut others {
        other.tell("drain");
    }
    let message = || Message::new(selector.clone(), 0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.send(message()));
        for other in &others {
            other.line();
        }
        assert!(!waiting.is_finished());
        // The same, for those who do not wait or not for long.
        for other in &mut others {
            other.tell("drain");
        }
        let error = sender.send_timeout(message(), patience).unwrap_err();
        assert!(matches!(error.reason, SendError::Timeout));
        assert_eq!(error.delivered, others.len());
        for other in &others {
            other.line();
        }
        drop(full);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn g4_who_is_stuck_does_not_delay_joins() {
    let bus = Bus::new();
    let _controller = controller(&bus);
    let joins = || {
        let times = (0..JOINS).map(|_| {
            let start = Instant::now();
            let options = bus.options(label!("new")).with_controller_affinity(false);
            let endpoint = ipmb::join::<(), ()>(options, Some(DEADLINE)).unwrap();
            let took = start.elapsed().as_secs_f64();
            drop(endpoint);
            took
        });
        quantile(&times.collect::<Vec<_>>(), 0.5)
    };
    joins();
    let without = joins();
    let stuck = stuck(&bus);
    let with = joins();
    println!(
        "{:.0} µs for a join, {:.0} µs beside the stuck",
        without * 1e6,
        with * 1e6
    );
    assert!(with < without * 5.0 + 0.01);
    drop(stuck);
}

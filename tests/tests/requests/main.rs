//! Requests and replies.

mod company;
mod ends;
mod errors;
mod parked;
mod replies;

use ipmb::{EndpointReceiver, EndpointSender, Message, Pending, RequestError, Selector, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    proc::{State, eventually, thread_state},
};
use std::{
    sync::mpsc,
    thread::{Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

/// The test's own endpoint. It is not the controller if somebody else is.
fn join(bus: &Bus) -> (EndpointSender<String>, EndpointReceiver<String>) {
    ipmb::join(bus.options(label!("test")), Some(DEADLINE)).unwrap()
}

fn clerk(bus: &Bus) -> Peer {
    let clerk = bus.peer("clerk", &["clerk"]);
    clerk.expect("joined");
    clerk
}

/// A request to whoever has the label `clerk`.
fn request(question: &str) -> Message<String> {
    Message::new(Selector::unicast("clerk"), question.to_owned())
}

/// The same, which waits for somebody to come.
fn patient(question: &str, ttl: Duration) -> Message<String> {
    let mut selector = Selector::unicast("clerk");
    selector.ttl = ttl;
    Message::new(selector, question.to_owned())
}

/// The reply, which must come, and wake us when it does.
fn reply(pending: &mut Pending) -> String {
    let start = Instant::now();
    let reply = pending.wait::<String>(Some(DEADLINE)).unwrap().payload;
    assert!(start.elapsed() < DEADLINE, "the wake-up was missed");
    reply
}

/// What becomes of a request for which a thread of its own waits. It sleeps when this returns.
fn wait_asleep<'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut pending: Pending,
) -> ScopedJoinHandle<'scope, Result<String, RequestError>> {
    let (tell, told) = mpsc::channel();
    let waiter = scope.spawn(move || {
        tell.send(rustix::thread::gettid().as_raw_nonzero().get() as u32)
            .unwrap();
        let start = Instant::now();
        let reply = pending.wait::<String>(Some(DEADLINE));
        assert!(start.elapsed() < DEADLINE, "the wake-up was missed");
        reply.map(|reply| reply.payload)
    });
    let thread = told.recv().unwrap();
    eventually("the thread", State::Sleeping, || thread_state(thread));
    waiter
}

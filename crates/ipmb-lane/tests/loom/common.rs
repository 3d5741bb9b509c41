//! What the models have in common.

use ipmb_lane::*;
pub(crate) use loom::thread;
pub(crate) use std::sync::Arc;

use loom::sync::{Condvar, Mutex};

/// Runs `test` in every order with at most `preemptions` forced switches between threads.
pub(crate) fn explore(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 10_000;
    model.check(test);
}

pub(crate) fn lane(drops_oldest: bool) -> (Producer<HeapMemory>, Consumer<HeapMemory>) {
    let memory = HeapMemory::new(memory_len(MIN_CAPACITY));
    let producer = Producer::create(memory.clone(), drops_oldest).unwrap();
    (producer, Consumer::attach(memory, 0).unwrap())
}

pub(crate) fn push(producer: &mut Producer<HeapMemory>, number: u64) -> Result<(), Full> {
    let mut grant = producer.reserve(8)?;
    grant.write(&number.to_le_bytes()).unwrap();
    grant.commit(0);
    Ok(())
}

pub(crate) fn pop(consumer: &mut Consumer<HeapMemory>) -> Option<u64> {
    let mut out = Vec::new();
    match consumer.pop(&mut out, 1000).unwrap() {
        Popped::Message { .. } => Some(u64::from_le_bytes(out.try_into().unwrap())),
        _ => None,
    }
}

/// What a thread sleeps on. Loom reports it when nobody is left to ring.
#[derive(Clone)]
pub(crate) struct Doorbell(Arc<(Mutex<bool>, Condvar)>);

impl Doorbell {
    pub(crate) fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    pub(crate) fn ring(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }

    pub(crate) fn sleep(&self) {
        let mut rung = self.0.0.lock().unwrap();
        while !*rung {
            rung = self.0.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// The same, with a part of the orderings taken away.
pub(crate) fn explore_weakened(
    weak: Weak,
    preemptions: usize,
    test: impl Fn() + Sync + Send + 'static,
) {
    let _weakened = weaken(weak);
    explore(preemptions, test);
}

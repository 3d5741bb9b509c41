//! `soak member DIRECTORY INDEX`: an endpoint that sends all kinds of things to all members, and checks all that it
//! gets. Nothing here has a deadline: the supervisor watches. It is told:
//!
//! * `begin`: begins to send; `began`;
//! * `report`: says `MEDIAN P99 COUNT` of its requests' round trips in µs, and the `MEDIAN` of a bare pipe's;
//! * `stop`: sends no more, says how many it has sent to each;
//! * `await N…`: waits until it has received so many from each; `complete`.

use super::{
    latency::Times,
    load::{Load, Sent},
    parcel::Parcel,
};
use ipmb::{EndpointReceiver, EndpointSender, Message, label};
use std::{
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The label of all members.
pub(super) const LABEL: &str = "member";
/// So many there are.
pub(super) const MEMBERS: u64 = 5;

/// What the threads of a member share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) requests: Mutex<Times>,
    pub(super) bare: Mutex<Times>,
    received: Mutex<[u64; MEMBERS as usize]>,
    more: Condvar,
}

pub(super) fn run(directory: &Path, index: &str) {
    give_back_memory();
    let options = ipmb_tests::options(directory, label!(LABEL, format!("member{index}")));
    let options = options.with_controller_affinity(false);
    let (sender, receiver) = ipmb::join::<Parcel, Parcel>(options, None).expect("joins");
    let shared = Arc::new(Shared::default());
    let (theirs, replies) = (Arc::clone(&shared), sender.clone());
    thread::spawn(move || receive(&theirs, &receiver, &replies));
    println!("joined");
    let me = index.parse().expect("a number");
    let mut work = None;
    for line in io::stdin().lock().lines() {
        let line = line.expect("the supervisor lives");
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("begin", _) => {
                let (sender, shared) = (sender.clone(), Arc::clone(&shared));
                let directory = PathBuf::from(directory);
                work = Some(thread::spawn(move || {
                    Load::new(me, sender, directory, shared).run()
                }));
                println!("began");
            }
            ("report", _) => {
                let (median, p99, count) = lock(&shared.requests).take();
                let (bare, ..) = lock(&shared.bare).take();
                println!("{median} {p99} {count} {bare}");
            }
            ("stop", _) => {
                shared.stop.store(true, Ordering::Relaxed);
                let work = work.take().expect("it has begun");
                let Sent(sent) = work.join().expect("no panic");
                println!("{}", sent.map(|it| it.to_string()).join(" "));
            }
            ("await", numbers) => {
                let numbers = numbers.split(' ').map(str::parse);
                let numbers: Vec<u64> = numbers.map(|it| it.expect("a number")).collect();
                let mut received = lock(&shared.received);
                while *received != *numbers {
                    received = shared
                        .more
                        .wait(received)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                println!("complete");
            }
            _ => panic!("what is {line:?}?"),
        }
    }
}

/// Has the allocator give large blocks back at once. What it kept of them would hide what is leaked.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    for option in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: it changes two numbers, before there are other threads.
        unsafe { libc::mallopt(option, 128 << 10) };
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receive(shared: &Shared, receiver: &EndpointReceiver<Parcel>, replies: &EndpointSender<Parcel>) {
    while let Ok(message) = receiver.recv(None) {
        check(shared, message, replies);
    }
    // Nobody has told it to end.
    std::process::abort();
}

/// Whatever is wrong ends the process, so that the supervisor sees it.
fn check(shared: &Shared, mut message: Message<Parcel>, replies: &EndpointSender<Parcel>) {
    let Parcel {
        from,
        number,
        objects,
        regions,
        ..
    } = message.payload;
    if !message.payload.is_whole() {
        fail(&format!("a damaged message from {from}"));
    }
    if (objects, regions)
        != (
            message.objects.len() as u64,
            message.memory_regions.len() as u64,
        )
    {
        fail(&format!("a message from {from} has lost its attachments"));
    }
    for region in &mut message.memory_regions {
        if region.map(..1).is_ok_and(|bytes| bytes[0] != from as u8) {
            fail(&format!("a memory region of {from} is not what it was"));
        }
    }
    if let Some(number) = number {
        let mut received = lock(&shared.received);
        let next = &mut received[from as usize];
        if number != *next {
            fail(&format!("message {number} from {from} instead of {next}"));
        }
        *next += 1;
        shared.more.notify_all();
    }
    if let Some(to) = message.reply_to() {
        // Who asked may be gone.
        let _ = replies.reply(to, message.payload);
    }
}

pub(super) fn fail(why: &str) -> ! {
    eprintln!("soak member: {why}");
    std::process::abort();
}

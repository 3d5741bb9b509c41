//! `forker LABEL`: a process that forks while it is on the bus. Told `fork`, it has a child that
//! tries all that a child must not do, and says how that went; told `child`, it has one that lives
//! on until it is killed; told `send LABEL TEXT`, it sends; it prints what it receives.

use super::{Job, hear, say};
use ipmb::{
    EndpointReceiver, EndpointSender, MemoryRegion, Message, RecvError, RequestError, Selector,
    SendError, label,
};
use std::{sync::Arc, thread};

pub(super) fn run(job: &Job) {
    let options = job.options(label!(job.argument(0)));
    let (sender, receiver) = ipmb::join::<String, String>(options, None).expect("joins");
    let receiver = Arc::new(receiver);
    let region = MemoryRegion::try_new(1000).expect("memory");
    let copy = region.clone().expect("memory");
    say("joined");
    let listener = Arc::clone(&receiver);
    thread::spawn(move || {
        while let Ok(message) = listener.recv(None) {
            say(format_args!("got {}", message.payload));
        }
    });
    let mut kept = Some((sender, receiver, copy));
    while let Some(line) = hear() {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words.as_slice() {
            ["send", label, text] => {
                let message = Message::new(Selector::unicast(*label), (*text).to_owned());
                let (sender, ..) = kept.as_ref().expect("the parent keeps it");
                say(format_args!("{:?}", sender.send(message)));
            }
            ["fork"] => {
                let child = fork(|| try_all(kept.take().expect("a copy")));
                let status = wait(child);
                say(format_args!(
                    "status {status}, {} holders",
                    region.ref_count()
                ));
            }
            ["child"] => {
                let child = fork(|| {
                    loop {
                        thread::park();
                    }
                });
                say(child);
            }
            _ => panic!("what does {line:?} mean?"),
        }
    }
}

/// The child's exit status says which step went wrong.
fn try_all(
    (sender, receiver, copy): (
        EndpointSender<String>,
        Arc<EndpointReceiver<String>>,
        MemoryRegion,
    ),
) -> i32 {
    let message = || Message::new(Selector::unicast("parent"), "from the child".to_owned());
    if !matches!(sender.send(message()), Err(SendError::Forked)) {
        return 1;
    }
    let tried = sender.try_send(message()).map_err(SendError::from);
    if !matches!(tried, Err(SendError::Forked)) {
        return 2;
    }
    if !matches!(receiver.recv(None), Err(RecvError::Forked)) {
        return 3;
    }
    if !matches!(receiver.try_recv(), Err(RecvError::Forked)) {
        return 4;
    }
    if !matches!(sender.request(message()), Err(RequestError::Forked)) {
        return 5;
    }
    drop((sender, receiver, copy));
    0
}

fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child allocates, which the C library allows after `fork`, and touches no lock
    // that another thread of its parent can hold: it prints nothing, and ends with `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "there are processes left");
    if pid == 0 {
        let status = child();
        // SAFETY: it has no preconditions.
        unsafe { libc::_exit(status) };
    }
    pid
}

fn wait(child: i32) -> i32 {
    let pid = rustix::process::Pid::from_raw(child);
    let waited = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
    let (_, status) = waited.expect("it is a child").expect("it has ended");
    status.exit_status().unwrap_or(-1)
}

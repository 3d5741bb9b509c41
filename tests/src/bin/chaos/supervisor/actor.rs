//! An endpoint process, from outside.

use super::clock::Fair;
use ipmb_tests::{
    chaos::{
        book::Reader,
        ledger::{Fault, Kind},
        record::{Process, Session},
    },
    lines_of,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::Write,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::Receiver,
    time::Instant,
};

/// What it does, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was started, or told to join.
    Joining,
    /// It is on the bus.
    On,
    /// It was told to leave.
    Leaving,
    /// It is not on the bus.
    Off,
}

pub(super) struct Actor {
    pub(super) name: u64,
    pub(super) process: Process,
    child: Body,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    pub(super) reader: Reader,
    pub(super) state: State,
    /// It has said that it has nothing under way.
    pub(super) quiet: bool,
    /// When it is to go on.
    pub(super) stopped: Option<Instant>,
    joins: u32,
    greeted: bool,
}

/// It does not outlive us.
struct Body(Child);

impl Drop for Body {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What all of them are started with.
pub(super) struct Cast {
    pub(super) directory: PathBuf,
    pub(super) books: PathBuf,
    pub(super) seed: u64,
    pub(super) names: u64,
}

impl Actor {
    pub(super) fn start(cast: &Cast, name: u64, process: Process) -> Self {
        let book = cast.books.join(process.0.to_string());
        let program = std::env::current_exe().expect("it knows where it is");
        let mut child = Command::new(program)
            .arg("player")
            .args([&cast.directory, &book])
            .args([cast.seed, name, cast.names, process.0.into()].map(|it| it.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process starts");
        let lines = lines_of(child.stdout.take().expect("its output is a pipe"));
        let mut actor = Self {
            name,
            process,
            input: child.stdin.take(),
            child: Body(child),
            lines,
            reader: Reader::new(book),
            state: State::Joining,
            quiet: false,
            stopped: None,
            joins: 0,
            greeted: false,
        };
        actor.tell("hello");
        actor
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub(super) fn tell(&mut self, line: &str) {
        // Who is dead does not hear it; that is noticed elsewhere.
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}");
        }
    }

    pub(super) fn join(&mut self) {
        let number = self.joins;
        self.joins += 1;
        self.state = State::Joining;
        self.quiet = false;
        self.tell(&format!("join {number}"));
    }

    pub(super) fn leave(&mut self) {
        self.state = State::Leaving;
        self.tell("leave");
    }

    /// Whether it may join once more.
    pub(super) fn is_fresh(&self) -> bool {
        self.joins < Session::PER_PROCESS
    }

    pub(super) fn signal(&self, signal: Signal) {
        // It is our child and not waited for, so that it is there, dead or not.
        let _ = kill_process(Pid::from_child(&self.child.0), signal);
    }

    pub(super) fn wait_until_dead(&mut self) {
        let _ = self.child.0.wait();
    }

    /// Hears what it says. Returns what is wrong.
    pub(super) fn hear(&mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        while let Ok(line) = self.lines.try_recv() {
            match line.split_once(' ').unwrap_or((line.as_str(), "")) {
                ("ready", _) if self.greeted => self.join(),
                ("ready", _) => self.greeted = true,
                ("joined", _) => self.state = State::On,
                ("quiet", _) => self.quiet = true,
                ("left", what) => {
                    self.state = State::Off;
                    if what != "nothing" {
                        let text = format!("process {} left {what}", self.process.0);
                        faults.push(Fault::said(Kind::Leaked, text));
                    }
                }
                ("fault", what) => faults.push(said(self.process, what)),
                _ => {}
            }
        }
        if let Ok(Some(status)) = self.child.0.try_wait() {
            let text = format!("process {} ended by itself: {status}", self.process.0);
            faults.push(Fault::said(Kind::Failed, text));
            self.state = State::Off;
        }
        faults
    }

    /// Ends it, which is not on the bus. Returns whether it ended well.
    pub(super) fn finish(mut self) -> bool {
        self.input = None;
        // It may have been stopped between its leave and our hearing of it.
        self.signal(Signal::CONT);
        let mut patience = Fair::of_seconds(60);
        while patience.goes_on() {
            if let Ok(Some(status)) = self.child.0.try_wait() {
                return status.success();
            }
        }
        false
    }

    /// What its threads do, for those who have to find out why it does not come to an end.
    pub(super) fn picture(&self) -> String {
        let mut text = format!(
            "  process {} (pid {}, {:?}, quiet: {}):",
            self.process.0,
            self.pid(),
            self.state,
            self.quiet
        );
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
        for task in tasks.into_iter().flatten().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file));
            let [name, place] = ["comm", "wchan"].map(|file| read(file).unwrap_or_default());
            text += &format!(" {} in {};", name.trim(), place.trim());
        }
        text
    }
}

fn said(process: Process, what: &str) -> Fault {
    let (kind, text) = what.split_once(' ').unwrap_or((what, ""));
    let kind = match kind {
        "Damaged" => Kind::Damaged,
        _ => Kind::Failed,
    };
    Fault::said(kind, format!("process {}: {text}", process.0))
}

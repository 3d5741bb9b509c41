//! Starts the processes of a measurement, waits for their figures, and kills them.

use crate::{
    Result,
    child::Part,
    machine::Cores,
    peers::{Entry, Role},
    work::Task,
};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// What connecting, and emptying what lies in queues, may take in addition.
const GRACE: Duration = Duration::from_secs(10);

/// The figures of one measurement. Where several processes have one of the same name, the task
/// makes one of them.
pub(crate) fn measure(peer: &Entry, task: Task, cores: &Cores) -> Result<Vec<(String, f64)>> {
    let directory = tempfile::Builder::new().prefix("ipmb-bench-").tempdir()?;
    let figures = measure_in(directory.path(), peer, task, cores);
    (peer.clean_up)(directory.path());
    figures
}

fn measure_in(
    directory: &Path,
    peer: &Entry,
    task: Task,
    cores: &Cores,
) -> Result<Vec<(String, f64)>> {
    let directory = directory
        .to_str()
        .ok_or("the temporary directory is not UTF-8")?;
    let part = |role, index| Part {
        peer: peer.name,
        role,
        index,
        core: cores.of(&task, role, index),
        directory,
        task,
    };
    let (sender, news) = channel();
    let mut watch = Watch {
        task,
        figures: Vec::new(),
        ready: 0,
        done: 0,
        deadline: Instant::now() + task.warm_up + task.time + GRACE,
        news,
    };
    let mut processes = Vec::new();
    for index in 0..task.receivers {
        processes.push(Process::start(
            &part(Role::Receiver, index),
            sender.clone(),
        )?);
        watch.wait(|it| it.ready > index)?;
    }
    for index in 0..task.senders {
        processes.push(Process::start(&part(Role::Sender, index), sender.clone())?);
    }
    watch.wait(|it| it.ready >= task.processes())?;
    for process in &mut processes {
        process.go()?;
    }
    watch.wait(|it| it.done == task.processes())?;
    Ok(watch.figures)
}

/// What is known of them.
struct Watch {
    task: Task,
    figures: Vec<(String, f64)>,
    ready: usize,
    done: usize,
    deadline: Instant,
    news: Receiver<(Role, usize, String)>,
}

impl Watch {
    fn wait(&mut self, reached: impl Fn(&Self) -> bool) -> Result<()> {
        while !reached(self) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left) {
                Ok((role, index, line)) => self.note(role, index, &line)?,
                Err(RecvTimeoutError::Timeout) => return Err("it hung, and was killed".into()),
                Err(RecvTimeoutError::Disconnected) => return Err("it ended".into()),
            }
        }
        Ok(())
    }

    fn note(&mut self, role: Role, index: usize, line: &str) -> Result<()> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("ready", _) => self.ready += 1,
            ("done", _) => self.done += 1,
            ("figure", rest) => {
                let (value, name) = rest.split_once(' ').ok_or("a figure without a name")?;
                self.add(name, value.parse()?);
            }
            ("failed", _) if role == Role::Receiver && self.task.work.victim() == Some(index) => {
                self.done += 1;
            }
            ("failed", why) => {
                let who = match role {
                    Role::Receiver => "receiver",
                    Role::Sender => "sender",
                };
                let which = match role {
                    Role::Receiver if self.task.receivers > 1 => format!(" {index}"),
                    Role::Sender if self.task.senders > 1 => format!(" {index}"),
                    _ => String::new(),
                };
                return Err(format!("{who}{which}: {why}").into());
            }
            // What a library prints is none of ours.
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, name: &str, value: f64) {
        match self.figures.iter_mut().find(|it| it.0 == name) {
            Some((_, old)) => *old = self.task.work.combine(name, *old, value),
            None => self.figures.push((name.to_owned(), value)),
        }
    }
}

/// One of them. It is killed when dropped.
struct Process(Child);

impl Process {
    fn start(part: &Part<'_>, news: Sender<(Role, usize, String)>) -> Result<Self> {
        let (role, index) = (part.role, part.index);
        let errors = Path::new(part.directory).join(format!("errors-{role:?}-{index}"));
        let mut child = Command::new(std::env::current_exe()?)
            .args(part.to_arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()?;
        let output = child.stdout.take();
        let process = Self(child);
        thread::spawn(move || {
            let mut done = false;
            for line in output.into_iter().flat_map(|it| BufReader::new(it).lines()) {
                let Ok(line) = line else { break };
                done |= line == "done";
                let _ = news.send((role, index, line));
            }
            if !done {
                let _ = news.send((role, index, format!("failed {}", last_words(&errors))));
            }
        });
        Ok(process)
    }

    /// Tells it that all are ready.
    fn go(&mut self) -> Result<()> {
        let input = self.0.stdin.as_mut().ok_or("its input is closed")?;
        Ok(writeln!(input, "go")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have gone by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process that has ended wrote to its error output, in a line.
fn last_words(errors: &Path) -> String {
    let text = fs::read_to_string(errors).unwrap_or_default();
    let words: Vec<_> = text.split_whitespace().take(40).collect();
    format!("it ended. {}", words.join(" "))
}

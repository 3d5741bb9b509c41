//! Starts the two processes of a measurement, waits for their figures, and kills them.

use crate::{
    Result,
    child::Part,
    peers::{Entry, Role},
    work::Task,
};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// What connecting, and emptying what lies in queues, may take in addition.
const GRACE: Duration = Duration::from_secs(5);

/// The figures of one measurement.
pub(crate) fn measure(
    peer: &Entry,
    task: Task,
    cores: Option<[usize; 2]>,
) -> Result<Vec<(String, f64)>> {
    let directory = tempfile::Builder::new().prefix("ipmb-bench-").tempdir()?;
    let directory = directory
        .path()
        .to_str()
        .ok_or("the temporary directory is not UTF-8")?;
    let part = |role| Part {
        peer: peer.name,
        role,
        core: cores.map(|it| it[role as usize]),
        directory,
        task,
    };
    let (sender, news) = channel();
    let mut pair = Pair {
        figures: Vec::new(),
        ready: 0,
        done: 0,
        deadline: Instant::now() + task.warm_up + task.time + GRACE,
        news,
    };
    let _first = Process::start(&part(Role::First), sender.clone())?;
    pair.wait(|it| it.ready == 1)?;
    let _second = Process::start(&part(Role::Second), sender)?;
    pair.wait(|it| it.done == 2)?;
    Ok(pair.figures)
}

/// What is known of the two.
struct Pair {
    figures: Vec<(String, f64)>,
    ready: u32,
    done: u32,
    deadline: Instant,
    news: Receiver<(Role, String)>,
}

impl Pair {
    fn wait(&mut self, reached: impl Fn(&Self) -> bool) -> Result<()> {
        while !reached(self) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left) {
                Ok((role, line)) => self.note(role, &line)?,
                Err(RecvTimeoutError::Timeout) => return Err("it hung, and was killed".into()),
                Err(RecvTimeoutError::Disconnected) => return Err("it ended".into()),
            }
        }
        Ok(())
    }

    fn note(&mut self, role: Role, line: &str) -> Result<()> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("ready", _) => self.ready += 1,
            ("done", _) => self.done += 1,
            ("figure", rest) => {
                let (value, name) = rest.split_once(' ').ok_or("a figure without a name")?;
                self.figures.push((name.to_owned(), value.parse()?));
            }
            // What a library prints is none of ours.
            ("failed", why) => {
                let who = match role {
                    Role::First => "receiver",
                    Role::Second => "sender",
                };
                return Err(format!("{who}: {why}").into());
            }
            _ => {}
        }
        Ok(())
    }
}

/// One of the two. It is killed when dropped.
struct Process(Child);

impl Process {
    fn start(part: &Part<'_>, news: Sender<(Role, String)>) -> Result<Self> {
        let errors = Path::new(part.directory).join(format!("errors-{:?}", part.role));
        let mut child = Command::new(std::env::current_exe()?)
            .args(part.to_arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()?;
        let role = part.role;
        let output = child.stdout.take();
        let process = Self(child);
        thread::spawn(move || {
            let mut done = false;
            for line in output.into_iter().flat_map(|it| BufReader::new(it).lines()) {
                let Ok(line) = line else { break };
                done |= line == "done";
                let _ = news.send((role, line));
            }
            if !done {
                let _ = news.send((role, format!("failed {}", last_words(&errors))));
            }
        });
        Ok(process)
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

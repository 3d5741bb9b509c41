//! The processes of a scene.

use super::PART;
use crate::Result;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long something that should be there at once may take, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// All that a scene needs: a place of its own, and the name of the system.
pub(super) struct Stage {
    pub(super) system: &'static str,
    place: TempDir,
}

/// One of the processes. It is killed when it is dropped.
pub(super) struct Actor {
    child: Child,
    lines: Receiver<String>,
    errors: PathBuf,
}

impl Stage {
    pub(super) fn new(system: &'static str) -> Result<Self> {
        let place = tempfile::Builder::new().prefix("ipmb-attack-").tempdir()?;
        Ok(Self { system, place })
    }

    pub(super) fn place(&self) -> &Path {
        self.place.path()
    }

    /// Starts a process.
    pub(super) fn start(&self, part: &str, arguments: &[&str]) -> Result<Actor> {
        let errors = self.place().join(format!("{part}.errors"));
        let mut child = Command::new(std::env::current_exe()?)
            .args([PART, self.system, part])
            .arg(self.place())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Actor {
            child,
            lines,
            errors,
        })
    }

    /// Starts a process, and waits until it is on the bus.
    pub(super) fn joined(&self, part: &str, arguments: &[&str]) -> Result<Actor> {
        let actor = self.start(part, arguments)?;
        match actor.says("joined", PATIENCE) {
            Some(_) => Ok(actor),
            None => Err(format!("the {part} did not join").into()),
        }
    }
}

impl Actor {
    /// The rest of the next line that begins so; none if it does not come in time.
    pub(super) fn says(&self, beginning: &str, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            if let Some(rest) = line.strip_prefix(beginning) {
                return Some(rest.trim().to_owned());
            }
        }
    }

    /// Whether it has ended, or one of its threads has, with a panic.
    pub(super) fn has_panicked(&mut self) -> bool {
        let ended = self.child.try_wait().is_ok_and(|it| it.is_some());
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        ended || errors.contains("panicked at")
    }

    pub(super) fn kill(&mut self) {
        // It may have gone by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

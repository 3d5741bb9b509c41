//! What the tests across processes have in common: starting, asking and killing peers.
//!
//! A peer is the program `peer` in one of its roles. The test talks to it in lines: it prints
//! what it has to report, and reads what it is to do.

pub mod bad;
pub mod chaos;
pub mod crowd;
pub mod failover;
pub mod memory;
pub mod names;
mod picture;
pub mod proc;
pub mod raw;
pub mod readiness;
pub mod scale;
pub mod traffic;
pub mod users;

pub use picture::Picture;

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Far beyond what anything here takes, even on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A bus of its own for one test: its runtime directory vanishes with it.
pub struct Bus {
    directory: TempDir,
}

impl Bus {
    /// A bus that nobody has joined.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory }
    }

    /// The runtime directory of the bus. It is made by the first endpoint to join.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("bus")
    }

    /// Options to join it from the test itself.
    pub fn options(&self, label: ipmb::Label) -> ipmb::Options {
        options(&self.path(), label)
    }

    /// The process that serves it at the moment, as the kernel says; `None` if nobody does.
    pub fn controller(&self) -> Option<u32> {
        let files = fs::read_dir(self.path()).ok()?.flatten();
        let mut paths = files.map(|file| file.path());
        let path = paths.find(|path| path.extension().is_some_and(|end| end == "sock"))?;
        // If its queue of callers is full, it cannot be told.
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let socket = socket.ok()?;
        net::connect(&socket, &SocketAddrUnix::new(&path).ok()?).ok()?;
        let credentials = net::sockopt::socket_peercred(&socket).ok()?;
        u32::try_from(credentials.pid.as_raw_nonzero().get()).ok()
    }

    /// Starts a peer on it.
    pub fn peer(&self, role: &str, arguments: &[&str]) -> Peer {
        Peer::start(role, &self.path(), arguments)
    }
}

/// What a program says, line by line, until it ends or nobody listens.
pub fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Options for the one bus in a runtime directory.
pub fn options(directory: &Path, label: ipmb::Label) -> ipmb::Options {
    ipmb::Options::new("com.example.tests", label, "token").with_runtime_directory(directory)
}

/// A process under test. It is killed when dropped.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Peer {
    /// Starts the program `peer` in a role.
    pub fn start(role: &str, directory: &Path, arguments: &[&str]) -> Self {
        Self::spawn(Self::command(role, directory, arguments))
    }

    /// The command that starts it.
    pub fn command(role: &str, directory: &Path, arguments: &[&str]) -> Command {
        program_in("peer", role, directory, arguments)
    }

    /// Starts another program of the tests in a role.
    pub fn start_program(name: &str, role: &str, directory: &Path, arguments: &[&str]) -> Self {
        Self::spawn(program_in(name, role, directory, arguments))
    }

    /// Starts a program by a command that was made for it.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the peer program starts");
        let lines = lines_of(child.stdout.take().expect("its output is a pipe"));
        let input = child.stdin.take();
        Self {
            child,
            input,
            lines,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub fn line(&self) -> String {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => line,
            Err(error) => panic!("the peer {} said nothing: {error}", self.pid()),
        }
    }

    /// The next line that it prints, if it comes in time; `Err` if there will be none.
    ///
    /// # Errors
    ///
    /// It has ended, or closed its output.
    pub fn line_within(&self, time: Duration) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(format!("the peer {} ended", self.pid())),
        }
    }

    /// Waits for a certain line, and for no other.
    pub fn expect(&self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    /// Tells it something.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("the peer reads");
    }

    /// Tells it something, and returns what it says to that.
    pub fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.line()
    }

    /// Ends its input, and waits until it has ended well.
    pub fn finish(mut self) {
        self.input = None;
        let status = self.child.wait().expect("it can be waited for");
        assert!(status.success(), "the peer {} failed: {status}", self.pid());
    }

    /// Kills it as `kill -9` does, and waits until it is dead.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it can be signalled");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program_in(name: &str, role: &str, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(name));
    command.arg(role).arg(directory).args(arguments);
    command
}

/// A program that cargo builds beside the tests.
fn program(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("the test knows where it is");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join(name)
}

/// A number that tells large payloads apart. (FNV-1a over words of eight bytes)
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x100_0000_01b3)
    })
}

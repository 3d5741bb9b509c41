//! What the machine takes at the moment for a round trip to another process that sleeps: what others do on the machine
//! shows in this as well, so that latency can be compared with it.

use std::{
    io::{self, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// A process that answers through pipes.
pub(super) struct Bare {
    process: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Bare {
    pub(super) fn start() -> Self {
        let own = std::env::current_exe().expect("it knows where it is");
        let mut process = Command::new(own)
            .arg("echo")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let to = process.stdin.take().expect("its input is a pipe");
        let from = process.stdout.take().expect("its output is a pipe");
        Self { process, to, from }
    }

    pub(super) fn round_trip(&mut self) -> Duration {
        let start = Instant::now();
        self.to.write_all(b"\n").expect("it reads");
        self.from.read_exact(&mut [0]).expect("it answers");
        start.elapsed()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `soak echo`: gives back each line, until there are no more.
pub(super) fn echo() {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut byte = [0];
    // Whoever has no more to say is gone.
    while input.read_exact(&mut byte).is_ok() {
        if output
            .write_all(&byte)
            .and_then(|()| output.flush())
            .is_err()
        {
            return;
        }
    }
}

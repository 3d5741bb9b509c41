//! A line that says how far it is, while somebody looks.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Instant,
};

pub(crate) struct Progress {
    start: Instant,
    done: usize,
    all: usize,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(all: usize) -> Self {
        Self {
            start: Instant::now(),
            done: 0,
            all,
            shown: stderr().is_terminal(),
        }
    }

    /// The next step begins.
    pub(crate) fn step(&mut self, what: &str) {
        if self.shown {
            let left = match self.done {
                0 => String::new(),
                done => {
                    let per_step = self.start.elapsed().as_secs_f64() / done as f64;
                    let left = (per_step * (self.all - done) as f64).round() as u64;
                    format!(", {}:{:02} left", left / 60, left % 60)
                }
            };
            eprint!("\r\x1b[K{}/{}{left}: {what}", self.done + 1, self.all);
            let _ = stderr().flush();
        }
        self.done += 1;
    }

    /// Takes the line away, for something else to be printed.
    pub(crate) fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

//! Who takes away the word that somebody serves.

use super::Failure;
use rustix::fs::{Mode, OFlags, open};
use std::{
    fs,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

/// Reads the pipe in which it stands, all the time.
pub struct Thief {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Thief {
    /// Begins with the bus in a runtime directory.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn start(directory: &Path) -> Result<Self, Failure> {
        let mut paths = fs::read_dir(directory)?.filter_map(|file| Some(file.ok()?.path()));
        let path = paths.find(|path| path.extension().is_some_and(|end| end == "lock"));
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = open(path.ok_or("there is no bus")?, flags, Mode::empty())?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || steal(&pipe, &stop)
        });
        Ok(Self { stop, thread })
    }

    /// Ends it. Returns how often there was something to take.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or(0)
    }
}

fn steal(pipe: &OwnedFd, stop: &AtomicBool) -> u64 {
    let mut stolen = 0;
    while !stop.load(Relaxed) {
        match rustix::io::read(pipe, &mut [0; 64]) {
            Ok(1..) => stolen += 1,
            _ => std::hint::spin_loop(),
        }
    }
    stolen
}

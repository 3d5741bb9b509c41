//! The file in which a process writes down what it does. What is written is there, whatever
//! becomes of the process.

use super::{
    now,
    record::{Event, LEN, Record},
};
use rustix::fs::{FallocateFlags, fallocate};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// A process's own book. Any number of threads may write.
pub struct Book(File);

impl Book {
    /// Opens it, or makes it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(file))
    }

    /// Writes down what is about to happen, or has happened. Returns when.
    pub fn write(&self, event: Event) -> u64 {
        let record = Record { time: now(), event };
        // One call for each, and appending: records of several threads do not mix.
        let written = (&self.0).write(&record.encode());
        assert!(
            matches!(written, Ok(LEN)),
            "the book cannot be written: {written:?}"
        );
        record.time
    }
}

/// Reads a book while it is being written.
pub struct Reader {
    path: PathBuf,
    file: Option<File>,
    read: u64,
}

impl Reader {
    /// For a book that need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            read: 0,
        }
    }

    /// What has been written since it was last read.
    pub fn news(&mut self) -> io::Result<Vec<Record>> {
        let file = match &self.file {
            Some(file) => file,
            None => match File::options().read(true).write(true).open(&self.path) {
                Ok(file) => &*self.file.insert(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            },
        };
        let len = file.metadata()?.len() / LEN as u64 * LEN as u64;
        let mut bytes = vec![0; (len - self.read) as usize];
        file.read_exact_at(&mut bytes, self.read)?;
        if len > self.read {
            // What is read takes no place any more, where the file system can do that.
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(file, hole, self.read, len - self.read);
        }
        self.read = len;
        let (records, _) = bytes.as_chunks::<LEN>();
        let damaged = || io::Error::other("a record that says nothing");
        records
            .iter()
            .map(|bytes| Record::decode(bytes).ok_or_else(damaged))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::record::{Process, Session};

    #[test]
    fn what_is_written_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("book");
        let mut reader = Reader::new(path.clone());
        assert_eq!(reader.news().unwrap(), []);
        let session = |number| Session::of(Process(1), number);
        let (one, other) = (Book::open(&path).unwrap(), Book::open(&path).unwrap());
        one.write(Event::Joined(session(0)));
        other.write(Event::Joined(session(1)));
        let events = |records: Vec<Record>| -> Vec<Event> {
            records.iter().map(|record| record.event).collect()
        };
        let expected = [0, 1].map(|number| Event::Joined(session(number)));
        assert_eq!(events(reader.news().unwrap()), expected);
        assert_eq!(reader.news().unwrap(), []);
        one.write(Event::Left(session(0)));
        assert_eq!(events(reader.news().unwrap()), [Event::Left(session(0))]);
    }
}

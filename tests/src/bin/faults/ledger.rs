//! Who has sent what to whom, what became of it, and what has arrived.

use std::collections::BTreeMap;

use ipmb::{Bytes, Message, Object, Selector, TypeUuid};
use serde::{Deserialize, Serialize};

/// What is sent: a number, and bytes that follow from it.
#[derive(Debug, Serialize, Deserialize, TypeUuid)]
#[uuid = "f6f0b6a4-7f53-4b7b-8a35-5b0d4ff6a0c2"]
pub struct Parcel {
    /// Counted by the sender's ledger.
    pub number: u32,
    /// All the same, and of the number.
    pub filler: Bytes,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content {
    /// Bytes of filler.
    pub bytes: usize,
    /// How many objects.
    pub objects: usize,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// `send` said `Ok`.
    Sent,
    /// It was given back: it must not arrive.
    GivenBack,
}

struct Entry {
    way: (String, String),
    content: Content,
    inodes: Vec<u64>,
    fate: Option<Fate>,
    arrived: bool,
}

/// All messages of one run.
#[derive(Default)]
pub struct Ledger {
    entries: BTreeMap<u32, Entry>,
    last: BTreeMap<(String, String), u32>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// The byte that fills a message.
pub fn filler_of(number: u32) -> u8 {
    (number % 251) as u8 + 1
}

impl Ledger {
    /// Makes a message that is owed to `to` once it is sent. The filler is the caller's to make.
    pub fn enter(
        &mut self,
        from: &str,
        to: &str,
        content: Content,
        selector: Selector,
        filler: impl FnOnce(u32) -> Option<Bytes>,
    ) -> Option<(u32, Message<Parcel>)> {
        let number = self.entries.len() as u32;
        let filler = filler(number)?;
        let mut message = Message::new(selector, Parcel { number, filler });
        let mut inodes = Vec::new();
        for _ in 0..content.objects {
            let (reader, _) = rustix::pipe::pipe().expect("the test has descriptors");
            inodes.push(rustix::fs::fstat(&reader).expect("it is open").st_ino);
            message.objects.push(Object::from(reader));
        }
        let entry = Entry {
            way: (from.to_owned(), to.to_owned()),
            content,
            inodes,
            fate: None,
            arrived: false,
        };
        self.entries.insert(number, entry);
        Some((number, message))
    }

    /// What `send` said.
    pub fn settle(&mut self, number: u32, fate: Fate) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.fate = Some(fate);
            if fate == Fate::GivenBack && entry.arrived {
                self.wrong
                    .push(format!("message {number} was given back, and has arrived"));
            }
        }
    }

    /// `at` has received it.
    pub fn arrived(&mut self, at: &str, message: &Message<Parcel>) {
        let number = message.payload.number;
        let Some(entry) = self.entries.get_mut(&number) else {
            return self.wrong.push(format!("nobody has sent message {number}"));
        };
        let mut wrong = Vec::new();
        if entry.way.1 != at {
            wrong.push(format!("it is for {}, and {at} has got it", entry.way.1));
        }
        if std::mem::replace(&mut entry.arrived, true) {
            wrong.push("it came twice".to_owned());
        }
        if entry.fate == Some(Fate::GivenBack) {
            wrong.push("it was given back, and came".to_owned());
        }
        let filler = &message.payload.filler;
        let expected = filler_of(number);
        if filler.len() != entry.content.bytes || filler.iter().any(|it| *it != expected) {
            wrong.push(format!("its {} bytes are not what was sent", filler.len()));
        }
        let inode = |object: &Object| {
            // SAFETY: the object is open as long as it is borrowed here.
            let object = unsafe { std::os::fd::BorrowedFd::borrow_raw(object.as_raw()) };
            rustix::fs::fstat(object).map_or(0, |found| found.st_ino)
        };
        let inodes: Vec<u64> = message.objects.iter().map(inode).collect();
        if inodes != entry.inodes {
            wrong.push(format!(
                "its {} objects are not what was sent",
                inodes.len()
            ));
        }
        let last = self.last.entry(entry.way.clone()).or_default();
        if number < *last {
            wrong.push(format!("it came after {last}"));
        }
        *last = number.max(*last);
        let about = wrong
            .into_iter()
            .map(|it| format!("message {number}: {it}"));
        self.wrong.extend(about);
    }

    /// Whether something that was sent to `to` has not arrived.
    pub fn owed(&self, to: &str) -> Vec<u32> {
        let owed = self.entries.iter().filter(|(_, entry)| {
            entry.way.1 == to && entry.fate == Some(Fate::Sent) && !entry.arrived
        });
        owed.map(|(number, _)| *number).collect()
    }
}

//! The messages: each says which one it is and what is in it, and whoever gets it can tell whether
//! that is still so.

use super::record::{Contents, Id};
use crate::checksum;
use ipmb::{
    Bytes, BytesMessage, EndpointSender, MemoryRegion, MemoryRegistry, Message, MessageBox, Object,
    Selector, TypeUuid,
};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use std::{fs::File, io, os::fd::AsFd, os::unix::fs::FileExt};

/// What stands in front of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    id: u64,
    checksum: u64,
    size: u32,
    objects: u16,
    regions: u16,
}

/// A short body, in the message.
#[derive(Debug, Serialize, Deserialize, TypeUuid)]
#[uuid = "4c1a5f0e-5d0f-4a53-9b0e-0d4f5a3cbb01"]
pub struct Note {
    head: Head,
    body: Vec<u8>,
}

/// A body that is lent.
#[derive(Debug, Serialize, Deserialize, TypeUuid)]
#[uuid = "4c1a5f0e-5d0f-4a53-9b0e-0d4f5a3cbb02"]
pub struct Lent {
    head: Head,
    body: Bytes,
}

/// All that is sent.
#[derive(Debug, MessageBox)]
pub enum Mail {
    /// A short body.
    Note(Note),
    /// Any body: it stands behind the head.
    Bulk(BytesMessage),
    /// A body that is lent.
    Lent(Lent),
}

/// What the body is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A short message.
    Note,
    /// Bytes.
    Bulk,
    /// A loan.
    Lent,
}

/// Makes messages.
#[derive(Default)]
pub struct Post {
    registry: MemoryRegistry,
}

/// Of an encoded head, in front of bytes.
const HEAD: usize = 24;
/// The objects are files that say so.
const OBJECT: &str = "chaos-object";

impl Post {
    /// A message, and what is in it: a body of so many bytes, so many objects and memory regions.
    ///
    /// # Errors
    ///
    /// Memory or descriptors are lacking.
    pub fn write(
        &mut self,
        sender: &EndpointSender<Mail>,
        id: Id,
        form: Form,
        size: usize,
        attachments: (u16, &[usize]),
    ) -> io::Result<(Mail, Vec<Object>, Vec<MemoryRegion>, Contents)> {
        let (objects, regions) = attachments;
        let body = body(id, size);
        let contents = Contents {
            size: size as u32,
            checksum: checksum(&body),
            objects,
            regions: regions.len() as u16,
        };
        let head = Head {
            id: id.0,
            checksum: contents.checksum,
            size: contents.size,
            objects,
            regions: contents.regions,
        };
        let mail = match form {
            Form::Note => Mail::Note(Note { head, body }),
            Form::Bulk => {
                let data = [&head.bytes()[..], &body].concat();
                Mail::Bulk(BytesMessage { format: 1, data })
            }
            Form::Lent => {
                let mut loan = sender.loan(size).map_err(io::Error::other)?;
                loan.copy_from_slice(&body);
                Mail::Lent(Lent {
                    head,
                    body: loan.freeze(),
                })
            }
        };
        let objects = (0..objects)
            .map(|_| object(id))
            .collect::<io::Result<_>>()?;
        let mut of_memory = Vec::new();
        for size in regions {
            let mut region = self.registry.try_alloc(*size, Some("chaos"))?;
            mark(id, region.map(..*size).map_err(io::Error::other)?);
            of_memory.push(region);
        }
        Ok((mail, objects, of_memory, contents))
    }
}

/// Reads a message: which one it is, and what is in it.
///
/// # Errors
///
/// It is not what it says.
pub fn read(message: &mut Message<Mail>) -> Result<(Id, Contents), String> {
    let head = head(&message.payload).ok_or("it has no head")?;
    let (id, body) = (Id(head.id), self::body_of(&message.payload));
    let damaged = |what: String| Err(format!("{id:?} is damaged: {what}"));
    let found = Contents {
        size: body.len() as u32,
        checksum: checksum(body),
        objects: message.objects.len() as u16,
        regions: message.memory_regions.len() as u16,
    };
    let said = Contents {
        size: head.size,
        checksum: head.checksum,
        objects: head.objects,
        regions: head.regions,
    };
    if found != said {
        return damaged(format!("{found:?} instead of {said:?}"));
    }
    for object in &message.objects {
        let mut bytes = [0; 8];
        let file = object.as_fd().try_clone_to_owned().map(File::from);
        match file.and_then(|file| file.read_exact_at(&mut bytes, 0)) {
            Ok(()) if u64::from_le_bytes(bytes) == id.0 => {}
            other => return damaged(format!("an object says {bytes:x?} ({other:?})")),
        }
    }
    for region in &mut message.memory_regions {
        let bytes = region.map(..).map_err(|error| format!("{id:?}: {error}"))?;
        if !is_marked(id, bytes) {
            return damaged("a memory region is another's".to_owned());
        }
    }
    Ok((id, found))
}

/// Whether what is still held of a message is what it was.
pub fn is_intact(id: Id, message: &mut Message<Mail>) -> bool {
    matches!(read(message), Ok((now, _)) if now == id)
}

/// A selector as its number says.
pub fn selector(to: &super::record::To) -> Option<Selector> {
    match to {
        super::record::To::Selector {
            code, mode, ttl, ..
        } => Some(Selector {
            label_op: code.expression().label_op(),
            mode: *mode,
            ttl: std::time::Duration::from_micros((*ttl).into()),
        }),
        super::record::To::Asker(_) => None,
    }
}

impl Head {
    fn bytes(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.size.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.objects.to_le_bytes());
        bytes[22..].copy_from_slice(&self.regions.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8; HEAD]) -> Self {
        let word = |at: usize, len: usize| {
            let mut word = [0; 8];
            word[..len].copy_from_slice(&bytes[at..at + len]);
            u64::from_le_bytes(word)
        };
        Self {
            id: word(0, 8),
            checksum: word(8, 8),
            size: word(16, 4) as u32,
            objects: word(20, 2) as u16,
            regions: word(22, 2) as u16,
        }
    }
}

fn head(mail: &Mail) -> Option<Head> {
    match mail {
        Mail::Note(note) => Some(note.head),
        Mail::Bulk(bulk) => bulk.data.first_chunk().map(Head::read),
        Mail::Lent(lent) => Some(lent.head),
    }
}

fn body_of(mail: &Mail) -> &[u8] {
    match mail {
        Mail::Note(note) => &note.body,
        Mail::Bulk(bulk) => bulk.data.get(HEAD..).unwrap_or_default(),
        Mail::Lent(lent) => &lent.body,
    }
}

/// A body that only this message has.
fn body(id: Id, size: usize) -> Vec<u8> {
    let mut body = vec![0; size];
    fill(id, &mut body);
    body
}

fn fill(id: Id, bytes: &mut [u8]) {
    for (at, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&word(id, at)[..chunk.len()]);
    }
}

/// Makes a memory region this message's. It may be larger than what was asked for, so that it says
/// how much is filled.
fn mark(id: Id, bytes: &mut [u8]) {
    let len = bytes.len() as u64;
    fill(id, bytes);
    bytes[..8].copy_from_slice(&len.to_le_bytes());
}

fn is_marked(id: Id, bytes: &[u8]) -> bool {
    let len = bytes.first_chunk().map(|len| u64::from_le_bytes(*len));
    let filled = len.and_then(|len| bytes.get(8..len as usize));
    filled.is_some_and(|filled| {
        let mut words = filled.chunks(8).zip(1..);
        words.all(|(chunk, at)| *chunk == word(id, at)[..chunk.len()])
    })
}

fn word(id: Id, at: usize) -> [u8; 8] {
    let word = (id.0 ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word.rotate_left(31).to_le_bytes()
}

fn object(id: Id) -> io::Result<Object> {
    let file = File::from(memfd_create(OBJECT, MemfdFlags::CLOEXEC)?);
    file.write_all_at(&id.0.to_le_bytes(), 0)?;
    Ok(Object::from(std::os::fd::OwnedFd::from(file)))
}

//! A pipe each way, with the length before each message.

use super::{Peer, Seat, handover::meet_one};
use crate::{
    Result,
    message::{Checker, Phase},
    work::Task,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::{
    fs::File,
    io::{BufReader, Read, Write},
};

const LENGTH: usize = 4;

pub(crate) struct Pipe {
    incoming: BufReader<File>,
    outgoing: File,
    /// Length and message in one piece, so that they go in one system call.
    frame: Vec<u8>,
    message: Vec<u8>,
}

impl Pipe {
    fn fill(&mut self) -> Result<()> {
        let mut length = [0; LENGTH];
        self.incoming.read_exact(&mut length)?;
        self.message.resize(u32::from_le_bytes(length) as usize, 0);
        Ok(self.incoming.read_exact(&mut self.message)?)
    }
}

impl Peer for Pipe {
    const NAME: &'static str = "pipe";
    const ABOUT: &'static str = "floor: a pipe each way, read through a buffer of 64 KiB";

    type Received<'a> = &'a [u8];

    fn refuses(task: &Task) -> Option<&'static str> {
        (task.processes() > 2).then_some("it is between two")
    }

    fn connect(seat: &Seat) -> Result<Self> {
        let [incoming, outgoing] = meet_one(seat, || {
            let (read_a, write_a) = pipe_with(PipeFlags::CLOEXEC)?;
            let (read_b, write_b) = pipe_with(PipeFlags::CLOEXEC)?;
            Ok(([read_a, write_b], [read_b, write_a]))
        })?;
        Ok(Self {
            incoming: BufReader::with_capacity(64 << 10, incoming.into()),
            outgoing: outgoing.into(),
            frame: Vec::new(),
            message: Vec::new(),
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        let length = u32::try_from(message.len())?;
        self.frame.clear();
        self.frame.extend_from_slice(&length.to_le_bytes());
        self.frame.extend_from_slice(message);
        Ok(self.outgoing.write_all(&self.frame)?)
    }

    fn receive(&mut self) -> Result<&[u8]> {
        self.fill()?;
        Ok(&self.message)
    }

    fn echo(&mut self, checker: &mut Checker) -> Result<Phase> {
        self.fill()?;
        let phase = checker.check(&self.message)?;
        let message = std::mem::take(&mut self.message);
        let sent = self.send(&message);
        self.message = message;
        sent.map(|()| phase)
    }
}

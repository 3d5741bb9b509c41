//! The connections of members, and of those who want to become members.

use super::Host;
use crate::{
    driver::{Driver, LACK_TIME, token},
    endpoint::{Flushed, Pipe},
};
use ipmb_core::{Assembler, ConnId, Input, MAX_HANDSHAKE_PACKET, Phase, Quotas};
use ipmb_sys::{Channel, ChannelRecvError, Credentials, Interest, OwnedObject, descriptor_limit};
use std::{io, os::fd::AsFd, sync::Arc, time::Instant};

/// So much may wait for a member to read it before it is cut off: it does not read, and the others are
/// not to pay for that. In bytes,
const QUEUED: usize = 16 << 20;
/// and in objects: one part in so many of the controller's descriptors, but a few hundred at least. What
/// was parked for it when it joined does not count: that is its senders'.
const OBJECTS_SHARE: usize = 8;
const FEWEST_OBJECTS: usize = 256;

/// So many packets are read from one member before the next has its turn.
const PACKETS: usize = 64;

pub(super) struct Connection {
    pub(super) credentials: Credentials,
    pub(super) pipe: Pipe,
    /// Nothing is set aside for whoever is not admitted.
    assembler: Option<Assembler>,
    objects: Vec<OwnedObject>,
    interest: Interest,
    /// What was parked for it, as far as it waits to be read: bytes and objects; and whether there
    /// may still be more of it, because it has not been welcomed yet.
    pub(super) granted: (usize, usize),
    pub(super) welcomed: bool,
}

impl Host {
    pub(super) fn add(
        &mut self,
        driver: &mut Driver,
        channel: Channel,
        credentials: Credentials,
    ) -> io::Result<u64> {
        self.accepted += 1;
        let number = self.accepted;
        let token = token::CONNECTION | number;
        driver
            .poller
            .add(channel.as_fd(), token, Interest::Readable)?;
        let connection = Connection {
            credentials,
            pipe: Pipe::new(Arc::new(channel)),
            assembler: None,
            objects: Vec::new(),
            interest: Interest::Readable,
            granted: (0, 0),
            welcomed: false,
        };
        self.connections.insert(number, connection);
        Ok(number)
    }

    pub(super) fn read(&mut self, driver: &mut Driver, number: u64) {
        for _ in 0..PACKETS {
            match self.read_packet(driver, number) {
                Ok(true) => {}
                Ok(false) => return,
                Err(()) => return self.cut_off(driver, number),
            }
        }
    }

    /// Sends what waits, and what does not fit waits.
    pub(super) fn flush(&mut self, driver: &mut Driver, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        // A broken pipe shows when it is read from.
        let flushed = connection.pipe.flush().unwrap_or(Flushed::All);
        self.mind_queue(driver, number, flushed);
    }

    /// Waits for room or for the system if something is queued, and loses patience if it is too much.
    pub(super) fn mind_queue(&mut self, driver: &mut Driver, number: u64, flushed: Flushed) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let queued = (connection.pipe.queued(), connection.pipe.queued_objects());
        let (bytes, objects) = connection.granted;
        connection.granted = match connection.welcomed {
            true => (bytes.min(queued.0), objects.min(queued.1)),
            false => queued,
        };
        let most_objects = FEWEST_OBJECTS.max(descriptor_limit() / OBJECTS_SHARE);
        if connection.welcomed && (queued.0 > bytes + QUEUED || queued.1 > objects + most_objects) {
            let pid = connection.credentials.pid;
            let (bytes, objects) = queued;
            tracing::warn!(
                pid,
                bytes,
                objects,
                most_bytes = QUEUED,
                most_objects,
                "a member is cut off: it does not read what it is told"
            );
            return self.cut_off(driver, number);
        }
        let interest = match flushed {
            Flushed::Full => Interest::ReadableWritable,
            Flushed::All | Flushed::Lacking => Interest::Readable,
        };
        if connection.interest != interest {
            connection.interest = interest;
            let channel = connection.pipe.channel().as_fd();
            let _ = driver
                .poller
                .modify(channel, token::CONNECTION | number, interest);
        }
        if flushed == Flushed::Lacking {
            self.starve(number);
        }
    }

    /// The system lacks something: reads from the connection, and writes to it, a little later.
    fn starve(&mut self, number: u64) {
        if !self.starved.contains(&number) {
            self.starved.push(number);
        }
        let again = Instant::now() + LACK_TIME;
        self.try_again.get_or_insert(again);
    }

    /// Closes a connection, and tells the controller.
    fn cut_off(&mut self, driver: &mut Driver, number: u64) {
        self.remove(driver, number);
        let conn = ConnId(number);
        self.input(driver, Input::Closed { conn }, &mut Vec::new());
    }

    pub(super) fn remove(&mut self, driver: &mut Driver, number: u64) -> Option<Connection> {
        let connection = self.connections.remove(&number)?;
        let _ = driver.poller.remove(connection.pipe.channel().as_fd());
        Some(connection)
    }

    /// `Ok(false)`: there is none. `Err`: the connection is over.
    fn read_packet(&mut self, driver: &mut Driver, number: u64) -> Result<bool, ()> {
        let conn = ConnId(number);
        let Some(connection) = self.connections.get_mut(&number) else {
            return Ok(false);
        };
        let Some(phase) = self.controller.phase(conn) else {
            return Err(());
        };
        let (mut bytes, mut objects) = (Vec::new(), Vec::new());
        let channel = connection.pipe.channel();
        let received = match phase {
            // Whoever is not admitted cannot make us hold its objects.
            Phase::Handshaking => channel.try_recv_plain(&mut bytes),
            Phase::Admitted => channel.try_recv(&mut bytes, &mut objects),
        };
        match received {
            Ok(()) => {}
            Err(ChannelRecvError::Empty) => return Ok(false),
            Err(ChannelRecvError::NoDescriptors | ChannelRecvError::Io(_)) => {
                // What waits would wake us again at once.
                let channel = channel.as_fd();
                let token = token::CONNECTION | number;
                let _ = driver.poller.modify(channel, token, Interest::HangupOnly);
                connection.interest = Interest::HangupOnly;
                self.starve(number);
                return Ok(false);
            }
            Err(ChannelRecvError::Disconnected) => return Err(()),
            Err(error) => {
                let pid = connection.credentials.pid;
                tracing::warn!(pid, %error, "a connection is closed");
                return Err(());
            }
        }
        if phase == Phase::Handshaking {
            if bytes.len() > MAX_HANDSHAKE_PACKET {
                return Err(());
            }
            let objects = 0;
            let bytes = &bytes;
            self.input(
                driver,
                Input::Received {
                    conn,
                    bytes,
                    objects,
                },
                &mut Vec::new(),
            );
            return Ok(self.connections.contains_key(&number));
        }
        if !connection.welcomed && connection.pipe.channel().is_disconnected() {
            // Whatever it says: it has given up since, and nobody must find it on the bus.
            return Err(());
        }
        let quotas = Quotas::default();
        let assembler = connection
            .assembler
            .get_or_insert_with(|| Assembler::new(quotas.message_bytes, quotas.message_objects));
        let count = objects.len();
        connection.objects.append(&mut objects);
        match assembler.push(&bytes, count) {
            Ok(None) => Ok(true),
            Ok(Some((message, count))) => {
                let rest = connection
                    .objects
                    .split_off(count.min(connection.objects.len()));
                let mut objects = std::mem::replace(&mut connection.objects, rest);
                let input = Input::Received {
                    conn,
                    bytes: &message,
                    objects: objects.len(),
                };
                self.input(driver, input, &mut objects);
                Ok(self.connections.contains_key(&number))
            }
            Err(error) => {
                let pid = connection.credentials.pid;
                tracing::warn!(pid, %error, "a member is cut off");
                Err(())
            }
        }
    }
}

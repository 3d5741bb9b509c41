//! The controller of the bus, as far as it deals with the system: what it decides is decided in
//! `ipmb-core`.

mod connection;
mod outputs;
mod store;

use super::{Driver, token};
use connection::Connection;
use ipmb_core::{ConnId, Controller, Directory, Input, Output, Record};
use ipmb_lane::{LogRead, LogReader, LogWriter, Word};
use ipmb_sys::{
    Channel, Credentials, Event, Interest, Listener, OwnedObject, ProcessWatch, Purpose, Seat,
    boot_time_ns, create_memory, page_size,
};
use std::{
    collections::HashMap,
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};
use store::Store;

use crate::memory::Shared;

/// Address space of the directory's log: both of its areas hold what the quota allows, and room
/// for changes.
const DIRECTORY_LEN: usize = 64 << 20;

/// The log is written anew when it is this long, in bytes, and several times as long as what still
/// counts: whoever joins reads all of it.
const LONG_LOG: usize = 16 << 10;

/// So many connections are accepted before others have their turn.
const ACCEPTS: usize = 64;

/// The controller and all that it holds.
pub(super) struct Host {
    controller: Controller,
    outputs: Vec<Output>,
    // The socket goes before the seat does: whoever has the seat next puts up its own.
    listener: Option<Listener>,
    _seat: Seat,
    connections: HashMap<u64, Connection>,
    accepted: u64,
    /// The connection of the controller's own endpoint; 0 before there is one.
    own: u64,
    store: Store,
    log: LogWriter<Shared>,
    /// At this length the log is written anew.
    long_log: usize,
    directory: OwnedObject,
    beacon: OwnedObject,
    watches: HashMap<u32, ProcessWatch>,
    /// Nobody is accepted until some of those who shake hands have finished.
    closed_for_now: bool,
    /// After a lack of descriptors, when to accept and to read again.
    try_again: Option<Instant>,
    /// Since when nobody could be accepted, and why.
    unreachable: Option<(Instant, io::Error)>,
    /// Connections that are not read from until then.
    starved: Vec<u64>,
}

impl Host {
    /// Serves the bus.
    pub(super) fn start(driver: &mut Driver, seat: Seat) -> io::Result<Self> {
        let last = driver
            .membership
            .as_ref()
            .map(|membership| membership.generation);
        // Time is what controllers have in common that know nothing of each other.
        let generation = boot_time_ns().max(last.unwrap_or(0) + 1);
        let (directory, mapping) = create_memory(Purpose::Published, DIRECTORY_LEN, false)?;
        let log = LogWriter::create(Shared::new(mapping), generation).map_err(io::Error::other)?;
        let (beacon, mapping) = create_memory(Purpose::Shared, page_size(), true)?;
        Word::new(Shared::new(mapping), 0)
            .map_err(io::Error::other)?
            .store(generation);
        let mut routing = driver.endpoint.routing();
        let left = routing.refresh();
        let inherited = routing.known_directory();
        drop(routing);
        driver.endpoint.part_from(left);
        let others_present = driver.rendezvous.members_present()?;
        let mut outputs = Vec::new();
        let controller = Controller::new(
            driver.settings(),
            driver.credential(),
            generation,
            inherited,
            others_present,
            boot_time_ns(),
            &mut outputs,
        );
        let mut host = Self {
            controller,
            outputs,
            listener: None,
            _seat: seat,
            connections: HashMap::new(),
            accepted: 0,
            own: 0,
            store: Store::default(),
            log,
            long_log: LONG_LOG,
            directory,
            beacon,
            watches: HashMap::new(),
            closed_for_now: false,
            try_again: None,
            unreachable: None,
            starved: Vec::new(),
        };
        host.carry_out(driver, &mut Vec::new());
        let listener = host._seat.serve()?;
        driver
            .poller
            .add(listener.as_fd(), token::LISTENER, Interest::Readable)?;
        host.listener = Some(listener);
        tracing::debug!(generation, "this endpoint is the controller now");
        Ok(host)
    }

    /// The controller's own endpoint joins.
    pub(super) fn admit_ourselves(
        &mut self,
        driver: &mut Driver,
        channel: Channel,
    ) -> io::Result<()> {
        let credentials = Credentials::current();
        self.own = self.add(driver, channel, credentials)?;
        let input = Input::LocalMember {
            conn: ConnId(self.own),
            pid: credentials.pid,
            uid: credentials.uid,
        };
        self.input(driver, input, &mut Vec::new());
        Ok(())
    }

    pub(super) fn accept(&mut self, driver: &mut Driver) {
        for _ in 0..ACCEPTS {
            let Some(listener) = &self.listener else {
                return;
            };
            if self.controller.accepts_from() > boot_time_ns() {
                // They wait in the queue; events of it would keep us busy.
                let listener = listener.as_fd();
                let _ = driver
                    .poller
                    .modify(listener, token::LISTENER, Interest::HangupOnly);
                self.closed_for_now = true;
                return;
            }
            let accepted = listener.accept().and_then(|channel| {
                channel
                    .map(|channel| Ok((channel.peer_credentials()?, channel)))
                    .transpose()
            });
            match accepted {
                Ok(accepted) => {
                    if self.unreachable.take().is_some() {
                        self.input(driver, Input::Unreachable(false), &mut Vec::new());
                    }
                    let Some((credentials, channel)) = accepted else {
                        return;
                    };
                    self.greet(driver, channel, credentials);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    let listener = listener.as_fd();
                    let _ = driver
                        .poller
                        .modify(listener, token::LISTENER, Interest::HangupOnly);
                    self.try_again = Some(Instant::now() + super::LACK_TIME);
                    if self.unreachable.is_none() {
                        self.unreachable = Some((Instant::now(), error));
                        self.input(driver, Input::Unreachable(true), &mut Vec::new());
                    }
                    return;
                }
            }
        }
    }

    /// Nobody is let in before a survivor can be accepted. After a while it is better that somebody else
    /// serves, and that who wants to join in this process hears why it cannot.
    fn despair(&mut self, driver: &mut Driver) {
        if driver.membership.is_none()
            && let Some((_, error)) =
                (self.unreachable).take_if(|(since, _)| since.elapsed() >= super::DEAF_TIME)
        {
            driver.lack(error);
        }
    }

    pub(super) fn process_died(&mut self, driver: &mut Driver, pid: u32) {
        if let Some(watch) = self.watches.remove(&pid) {
            let _ = driver.poller.remove(watch.as_fd());
            self.input(driver, Input::ProcessDied { pid }, &mut Vec::new());
        }
    }

    /// Does what time demands.
    pub(super) fn run(&mut self, driver: &mut Driver) {
        if self.try_again.is_some_and(|at| Instant::now() >= at) {
            self.try_again = None;
            self.open(driver);
            for number in std::mem::take(&mut self.starved) {
                self.flush(driver, number);
            }
            if self.unreachable.is_some() && self.controller.is_settling() {
                // Whether or not somebody is there: nothing tells that he could be accepted now.
                self.accept(driver);
                self.despair(driver);
            }
        }
        if self.closed_for_now && self.controller.accepts_from() <= boot_time_ns() {
            self.closed_for_now = false;
            self.open(driver);
        }
        if self
            .controller
            .next_deadline()
            .is_some_and(|at| at <= boot_time_ns())
        {
            self.input(driver, Input::Tick, &mut Vec::new());
        }
    }

    /// Accepts connections again.
    fn open(&self, driver: &Driver) {
        if let Some(listener) = &self.listener {
            let listener = listener.as_fd();
            let _ = driver
                .poller
                .modify(listener, token::LISTENER, Interest::Readable);
        }
    }

    /// When to call `run`, in nanoseconds of the boot-time clock.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let again = self.try_again.map(|at| {
            let left = at
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1));
            boot_time_ns() + left.as_nanos() as u64
        });
        let open = self.closed_for_now.then(|| self.controller.accepts_from());
        [self.controller.next_deadline(), again, open]
            .into_iter()
            .flatten()
            .min()
    }

    /// Serves no more, because the controller's own endpoint leaves. The next controller inherits
    /// the directory, so nobody who has left may be in it: it would wait for them.
    pub(super) fn hand_over(mut self, driver: &mut Driver) {
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        for number in numbers {
            self.read(driver, number);
        }
        let conn = ConnId(self.own);
        self.remove(driver, self.own);
        self.input(driver, Input::Closed { conn }, &mut Vec::new());
        self.leave();
    }

    /// Serves no more. Whoever is on the bus finds another controller.
    pub(super) fn leave(mut self) {
        if let Some(listener) = self.listener.take() {
            listener.withdraw();
        }
    }

    pub(super) fn connection_event(&mut self, driver: &mut Driver, number: u64, event: &Event) {
        if event.writable {
            self.flush(driver, number);
        }
        self.read(driver, number);
    }

    fn greet(&mut self, driver: &mut Driver, channel: Channel, credentials: Credentials) {
        let mut nonce = [0; 32];
        let (pid, uid) = (credentials.pid, credentials.uid);
        let allowed = driver.endpoint.options.scope == ipmb_sys::Scope::System
            || uid == Credentials::current().uid;
        if !allowed {
            return tracing::warn!(pid, uid, "another user is refused");
        }
        if let Err(error) = ipmb_sys::random(&mut nonce) {
            return tracing::warn!(pid, %error, "nobody can shake hands without randomness");
        }
        match self.add(driver, channel, credentials) {
            Ok(number) => {
                let input = Input::Accepted {
                    conn: ConnId(number),
                    pid: credentials.pid,
                    uid: credentials.uid,
                    nonce,
                };
                self.input(driver, input, &mut Vec::new());
                // It said hello before it came here, unless it means to say nothing.
                self.read(driver, number);
            }
            Err(error) => tracing::warn!(%error, "a connection cannot be kept"),
        }
    }

    /// Tells the controller something, and does what it wants done. `objects` came with it.
    fn input(&mut self, driver: &mut Driver, input: Input<'_>, objects: &mut Vec<OwnedObject>) {
        self.controller
            .handle(input, boot_time_ns(), &mut self.outputs);
        self.carry_out(driver, objects);
        if self.log.used() > self.long_log {
            self.publish_all();
        }
    }

    fn append(&mut self, record: &Record) {
        if self.log.append(&record.encode()).is_err() {
            self.publish_all();
        }
    }

    fn publish_all(&mut self) {
        let snapshot = self.controller.snapshot();
        self.publish(&snapshot);
    }

    fn publish(&mut self, records: &[Record]) {
        let records: Vec<Vec<u8>> = records.iter().map(Record::encode).collect();
        if self.log.replace(records.iter().map(Vec::as_slice)).is_err() {
            // The quota of the directory sees to it that this does not happen.
            tracing::error!("the directory has outgrown its memory");
        }
        self.long_log = LONG_LOG.max(self.log.used().saturating_mul(4));
    }
}

/// What the old directory of a survivor says, and whether it is up to date; `None` if it is of no use.
///
/// # Errors
///
/// It cannot be mapped.
fn read_old_directory(
    beacon: &OwnedObject,
    directory: &OwnedObject,
    generation: u64,
) -> io::Result<Option<(Directory, bool)>> {
    use super::control::map;
    use ipmb_sys::Access;
    let beacon = map(beacon, Access::ReadOnly, page_size())?;
    let current = Word::new(beacon, 0).map_err(io::Error::other)?.load() <= generation;
    let memory = map(directory, Access::ReadOnly, DIRECTORY_LEN)?;
    let mut log = LogReader::attach(memory).map_err(io::Error::other)?;
    let mut records = Vec::new();
    match log.read(&mut records) {
        Ok(LogRead::Unchanged) | Err(_) => return Ok(None),
        Ok(_) => {}
    }
    let mut found = Directory::default();
    found.apply_snapshot(Record::decode_all(&records));
    Ok(Some((found, current)))
}

/// Raises the beacon of another generation.
fn raise(beacon: &OwnedObject, to: u64) -> io::Result<()> {
    let memory = super::control::map(beacon, ipmb_sys::Access::ReadWrite, page_size())?;
    Word::new(memory, 0).map_err(io::Error::other)?.raise(to);
    Ok(())
}

//! The background thread of an endpoint: it finds the controller, talks to it, watches the
//! channels to other endpoints, and is the controller when its endpoint is elected.

mod control;
mod doubt;
mod host;
mod pairs;
mod parked;
mod seek;

use crate::{
    endpoint::{Endpoint, Fate, Flushed, Status},
    inbox::Arrival,
};
use control::Membership;
use doubt::Doubt;
use host::Host;
use ipmb_core::{
    Assembler, Credential, Election, ElectionAction, Greeter, ParkId, Standing, ToController,
    ToMember,
};
use ipmb_sys::{Credentials, Event, Interest, OwnedObject, Poller, Rendezvous, is_lack};
use pairs::Pairs;
use std::{
    collections::VecDeque,
    io,
    os::fd::AsFd,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a connection may take to shake hands and be welcome before it is tried again.
const GREETING_TIME: Duration = Duration::from_secs(2);
/// How long an endpoint that leaves while the bus has no controller tries to tell the next one,
const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// and how long it waits until the controller has noticed: so long the next one would wait for it.
const PARTING_TIME: Duration = Duration::from_secs(10);
/// After a lack of descriptors or memory, how long until the next try.
const LACK_TIME: Duration = Duration::from_millis(20);
/// How long who joins serves a bus whose survivors it cannot accept.
const DEAF_TIME: Duration = Duration::from_secs(1);

/// The largest control message that a controller sends, in bytes and in objects.
const MESSAGE_BYTES: usize = 4 << 20;
const MESSAGE_OBJECTS: usize = 4096;

pub(super) struct Driver {
    endpoint: Arc<Endpoint>,
    rendezvous: Rendezvous,
    poller: Arc<Poller>,
    election: Election,
    phase: Phase,
    /// To be done when the time has come.
    later: Option<(Instant, Later)>,
    watching: bool,
    membership: Option<Membership>,
    assembler: Assembler,
    /// Objects of a control message that is not complete yet.
    objects: Vec<OwnedObject>,
    /// Parked messages that came, before the welcome above all.
    deliveries: Vec<crate::inbox::Delivery>,
    /// Parked messages received lately.
    delivered: VecDeque<ParkId>,
    pairs: Pairs,
    host: Option<Host>,
    room_watched: bool,
    /// When to send again what the system had no room for.
    flush_again: Option<Instant>,
    /// When to read the controller's channel again, after a lack of something.
    read_again: Option<Instant>,
    /// What it said and we could not use for want of something.
    untold: Option<(ToMember, Vec<OwnedObject>)>,
    /// The last attempt to be let in failed.
    rebuffed: bool,
    /// So often we have looked for a controller that nobody has announced.
    looks: u32,
    doubt: Doubt,
    /// Since when it has only been leaving that is left to do.
    farewell: Option<Instant>,
    /// The controller is told so.
    has_said_farewell: bool,
}

enum Phase {
    /// Looking for a controller.
    Seeking,
    /// Shaking hands with one, or waiting for its welcome.
    Greeting(Box<Greeter>, bool),
    /// On the bus.
    Member,
    /// Off the bus, for good.
    Ended,
}

#[derive(Clone, Copy)]
enum Later {
    Seek(ElectionAction),
    /// As from the beginning, since others may listen now.
    AskAgain,
    /// Whether somebody listens, though nobody has said so.
    LookAgain,
    GiveUpGreeting,
    ParkAgain,
}

/// What an event is about.
mod token {
    pub(super) use crate::endpoint::WAKE;
    pub(super) const WATCH: u64 = 1;
    pub(super) const CONTROL: u64 = 2;
    pub(super) const ROOM: u64 = 3;
    pub(super) const LISTENER: u64 = 4;
    /// Those below come with a number.
    pub(super) const PAIR: u64 = 1 << 56;
    pub(super) const CONNECTION: u64 = 2 << 56;
    pub(super) const PROCESS: u64 = 3 << 56;
    pub(super) const KIND: u64 = 0xff << 56;
}

/// Starts the driver of an endpoint.
pub(crate) fn start(endpoint: Arc<Endpoint>, rendezvous: Rendezvous) -> io::Result<JoinHandle<()>> {
    let driver = Driver {
        election: Election::new(endpoint.options.controller_affinity),
        rendezvous,
        poller: Arc::clone(&endpoint.poller),
        phase: Phase::Seeking,
        later: None,
        watching: false,
        membership: None,
        assembler: Assembler::new(MESSAGE_BYTES, MESSAGE_OBJECTS),
        objects: Vec::new(),
        deliveries: Vec::new(),
        delivered: VecDeque::new(),
        pairs: Pairs::default(),
        host: None,
        room_watched: false,
        flush_again: None,
        read_again: None,
        untold: None,
        rebuffed: false,
        looks: 0,
        doubt: Doubt::default(),
        farewell: None,
        has_said_farewell: false,
        endpoint,
    };
    ipmb_sys::start_thread("ipmb", Some(512 << 10), move || driver.run())
}

impl Driver {
    fn run(mut self) {
        self.seek(self.election.start());
        let mut events = Vec::new();
        while !self.is_done() {
            match self.poller.wait(&mut events, self.timeout()) {
                Ok(()) => {}
                Err(error) if is_lack(&error) && self.membership.is_some() => {
                    // What happens meanwhile is still there afterwards.
                    tracing::warn!(%error, "nothing can be waited for yet");
                    thread::sleep(LACK_TIME);
                }
                Err(error) => {
                    self.end(Fate::Resources(error.to_string(), error.raw_os_error()));
                    break;
                }
            }
            for event in &events {
                self.handle(event);
            }
            self.do_what_is_due();
            self.send_parked();
            self.tell_of_departures();
            self.run_host();
        }
        if let Some(host) = self.host.take() {
            host.hand_over(&mut self);
        }
        self.rendezvous.resign();
        let mut link = self.endpoint.link();
        link.pipe = None;
        link.over = true;
        drop(link);
        self.endpoint.link_changed().notify_all();
    }

    /// Whether the endpoint has left, and everybody who has to know will.
    fn is_done(&mut self) -> bool {
        if matches!(self.phase, Phase::Ended) {
            return true;
        }
        let link = self.endpoint.link();
        if !link.leaving {
            return false;
        }
        let unsent = link.pipe.as_ref().is_some_and(|pipe| pipe.queued() > 0);
        drop(link);
        if self.membership.is_none() {
            // Nobody waits for its `join` any more, and nobody must find it on the bus.
            return true;
        }
        let unsent = unsent || self.has_unsafe_lanes();
        // Without a controller nobody notices that we leave while the process lives on: the next
        // one would take us for a survivor. So tell it, if it comes soon; and what was to be said
        // to a controller is said, parked messages above all. What was sent to those whom it may
        // never have told of us would be lost with it. A controller that dies while we leave may not have
        // noticed: so it says that it has.
        self.farewell.get_or_insert_with(Instant::now);
        if matches!(self.phase, Phase::Member) && !unsent && !self.has_said_farewell {
            if self.host.is_some() {
                return true; // hands over without us
            }
            self.has_said_farewell = true;
            let mut link = self.endpoint.link();
            self.endpoint
                .tell_controller(&mut link, &ToController::Leave);
            if link.pipe.as_ref().is_some_and(|pipe| pipe.queued() > 0) {
                return true; // the end of the connection says it
            }
            link.parting = Some(Instant::now());
            drop(link);
            self.endpoint.link_changed().notify_all();
        }
        self.end_of_farewell()
            .is_some_and(|end| Instant::now() >= end)
    }

    /// When it leaves without having been heard.
    fn end_of_farewell(&self) -> Option<Instant> {
        let time = match self.phase {
            Phase::Member if self.has_said_farewell => PARTING_TIME,
            _ => FAREWELL_TIME,
        };
        Some(self.farewell? + time)
    }

    fn handle(&mut self, event: &Event) {
        match event.token {
            token::WAKE => self.woken(),
            token::WATCH => self.watch_changed(),
            token::CONTROL => self.control_event(event),
            token::ROOM => self.endpoint.room.absorb(),
            token::LISTENER => self.with_host(Host::accept),
            kind => match (kind & token::KIND, kind & !token::KIND) {
                (token::PAIR, pair) => self.pair_event(pair, event),
                (token::CONNECTION, number) => {
                    let event = *event;
                    self.with_host(|host, driver| host.connection_event(driver, number, &event));
                }
                (token::PROCESS, pid) => {
                    self.with_host(|host, driver| host.process_died(driver, pid as u32));
                }
                _ => {}
            },
        }
    }

    /// Another thread wants something.
    fn woken(&mut self) {
        let mut link = self.endpoint.link();
        let deaf = link.deaf;
        let flushed = link
            .pipe
            .as_mut()
            .map(|pipe| (Arc::clone(pipe.channel()), pipe.flush()));
        drop(link);
        if let Some((channel, flushed)) = flushed {
            let interest = match flushed {
                Ok(Flushed::Full) => Interest::ReadableWritable,
                _ => Interest::Readable,
            };
            let lacking = matches!(flushed, Ok(Flushed::Lacking));
            self.flush_again = lacking.then(|| Instant::now() + LACK_TIME);
            let _ = self
                .poller
                .modify(channel.as_fd(), token::CONTROL, interest);
        }
        if deaf {
            self.stop_receiving();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let host = self.host.as_ref().and_then(Host::next_deadline);
        let parked = self.next_expiry();
        let clock = ipmb_sys::boot_time_ns();
        let boot = [host, parked].into_iter().flatten().min();
        let boot = boot.map(|at| Duration::from_nanos(at.saturating_sub(clock)));
        let later = self.later.as_ref().map(|(at, _)| *at);
        let introductions = self.pairs.try_again;
        let wall = [
            later,
            self.end_of_farewell(),
            self.end_of_patience(),
            introductions,
            self.flush_again,
            self.read_again,
        ];
        let wall = wall.into_iter().flatten().min();
        let wall = wall.map(|at| at.saturating_duration_since(Instant::now()));
        [boot, wall].into_iter().flatten().min()
    }

    fn do_what_is_due(&mut self) {
        self.use_introductions();
        if self
            .flush_again
            .take_if(|at| Instant::now() >= *at)
            .is_some()
        {
            self.woken();
        }
        if self
            .read_again
            .take_if(|at| Instant::now() >= *at)
            .is_some()
        {
            self.read_control_again();
        }
        if let Some((at, what)) = self.later
            && Instant::now() >= at
        {
            self.later = None;
            match what {
                Later::Seek(action) => self.seek(action),
                Later::AskAgain => {
                    self.doubt.ask_again();
                    self.seek(self.election.start());
                }
                Later::LookAgain => self.look_again(),
                Later::GiveUpGreeting => self.lose_controller(),
                Later::ParkAgain => self.endpoint.park_again(&mut self.endpoint.link()),
            }
        }
        if self
            .end_of_patience()
            .is_some_and(|at| Instant::now() >= at)
        {
            self.lose_patience();
        }
    }

    /// What lets us onto the bus, in this process and as this user: both may have changed.
    fn credential(&self) -> Credential {
        let Credentials { pid, uid, .. } = Credentials::current();
        let (users, processes) = ipmb_sys::namespaces();
        let standing = Standing {
            users,
            uid,
            processes,
            pid,
        };
        self.endpoint.credential.clone().with_standing(standing)
    }

    /// The endpoint is off the bus, for good.
    fn end(&mut self, fate: Fate) {
        tracing::debug!(?fate, "the endpoint is off the bus");
        self.phase = Phase::Ended;
        let mut link = self.endpoint.link();
        link.status = Status::Lost(fate);
        link.pipe = None;
        drop(link);
        self.endpoint.link_changed().notify_all();
        self.endpoint.room.announce();
        self.endpoint.inbox.arrive(Arrival::Lost);
    }

    /// Lets the host work with the driver, of which it is a part.
    fn with_host(&mut self, work: impl FnOnce(&mut Host, &mut Self)) {
        if let Some(mut host) = self.host.take() {
            work(&mut host, self);
            self.host = Some(host);
        }
    }

    fn run_host(&mut self) {
        self.with_host(Host::run);
    }
}

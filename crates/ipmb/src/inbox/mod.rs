//! The receiving side: what an endpoint receives through.

mod attachments;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod kept;
mod queue;
mod reply;
mod requests;
mod rx;
mod source;
mod spin;

pub(crate) use attachments::Delivery;
pub(crate) use requests::NoReply;
pub use rx::Statistics;

use crate::{
    InboxUsage, Message, MessageBox, RecvError, SenderUsage, memory::Shared, patience::Patience,
    request::ReplyTo,
};
use attachments::Incoming;
use ipmb_core::{Correlation, EndpointId};
use ipmb_lane::{BiasedGuard, BiasedMutex, READY_LEN, ReadySet, Sleeper};
use ipmb_sys::{Channel, Doorbell, Heard, Hearing, OwnedObject, Purpose, create_memory, page_size};
use requests::Requests;
use rx::{Next, Rx};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    time::{Duration, Instant},
};

/// After so many messages that are not for the user, time limits are looked at.
const SKIPS: u32 = 1024;
/// Who sleeps has to answer questions in this time, or has not heard them.
const ANSWER_TIME: Duration = Duration::from_millis(5);

/// What this endpoint receives through.
pub(crate) struct Inbox {
    doorbell: Doorbell,
    /// How a thread in `recv` hears it, or the user.
    hearing: Hearing,
    /// Written by us, read by senders: whether we sleep.
    page: OwnedObject,
    /// Written by senders: which lanes have news.
    ready: OwnedObject,
    arrivals: Mutex<Vec<Arrival>>,
    state: BiasedMutex<State>,
    turns: Turns,
    /// How a thread hears it that waits for a reply, and leaves it rung for the others.
    aside: OnceLock<Hearing>,
}

struct State {
    /// Taken out by a thread in `recv` while it sleeps.
    rx: Option<Box<Rx>>,
    requests: Requests,
    closed: bool,
    /// Somebody watches the doorbell instead of calling `recv`.
    watched: bool,
    /// The doorbell is rung for it.
    rung: bool,
    /// So many threads in `recv` wait until the one that sleeps is back.
    waiting: u32,
}

/// For threads that wait while another sleeps.
#[derive(Default)]
struct Turns {
    /// Counts how often somebody came back.
    count: Mutex<u64>,
    returned: Condvar,
}

/// A channel to another endpoint, numbered by the driver.
pub(crate) type PairId = u64;

/// The one to ourselves.
pub(crate) const OURSELVES: PairId = 0;

/// What the driver tells the receiving side.
pub(crate) enum Arrival {
    /// A sender, its process, and the channel on which it offers its lanes. The driver reads the first packet
    /// on it; there is nothing to read before it has announced news.
    Sender(PairId, EndpointId, u32, Arc<Channel>),
    /// There is something to read on a sender's channel.
    ChannelNews(PairId),
    /// The sender is gone; what it sent is still there to be read.
    SenderGone(PairId),
    /// An endpoint has left, or receives no more. What it sent is still there to be read.
    Gone(EndpointId),
    /// A message that was parked before we joined.
    Parked(Delivery),
    /// The endpoint has lost the bus for good.
    Lost,
    /// Somebody wants to know what is there.
    Question(mpsc::Sender<Findings>),
}

/// What there is to know of the lanes.
pub(crate) struct Findings {
    statistics: Statistics,
    senders: Vec<SenderUsage>,
}

/// How much a receiver accepts.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) message: u64,
    pub(crate) budget: u64,
    pub(crate) spin: Duration,
}

impl Inbox {
    pub(crate) fn new(limits: Limits) -> io::Result<Self> {
        let (page, page_mapping) = create_memory(Purpose::Published, page_size(), true)?;
        let (ready, ready_mapping) = create_memory(Purpose::Shared, READY_LEN, true)?;
        let sleeper = Sleeper::new(Shared::new(page_mapping)).map_err(io::Error::other)?;
        let bits = ReadySet::new(Shared::new(ready_mapping)).map_err(io::Error::other)?;
        let doorbell = Doorbell::create()?;
        let hearing = doorbell.hearing()?;
        // The first ring is no ring.
        hearing.clear();
        Ok(Self {
            doorbell,
            hearing,
            page,
            ready,
            arrivals: Mutex::default(),
            state: BiasedMutex::new(State {
                rx: Some(Box::new(Rx::new(limits, sleeper, bits))),
                requests: Requests::new(limits.budget),
                closed: false,
                watched: false,
                rung: false,
                waiting: 0,
            }),
            turns: Turns::default(),
            aside: OnceLock::new(),
        })
    }

    /// What others need to reach us: doorbell, page, ready set.
    pub(crate) fn objects(&self) -> (&Doorbell, &OwnedObject, &OwnedObject) {
        (&self.doorbell, &self.page, &self.ready)
    }

    /// Called by the driver. If nobody is receiving it does what a receiver would, so that the
    /// doorbell is not rung for those who come and go without a word, and so that they do not
    /// pile up where nobody ever receives.
    pub(crate) fn arrive(&self, arrival: Arrival) {
        self.arrivals().push(arrival);
        let Some(mut state) = self.state.try_lock() else {
            return self.doorbell.ring();
        };
        if state.closed {
            return self.arrivals().clear();
        }
        let State { rx, requests, .. } = &mut *state;
        let Some(rx) = rx.as_deref_mut() else {
            return self.doorbell.ring();
        };
        self.hand_over_arrivals(rx);
        rx.scan();
        requests.bury(rx, &self.doorbell);
        if rx.has_news() || rx.is_lost() {
            self.doorbell.ring();
        }
    }

    /// The payload of the next message, the way of nearly all: from the same sender as the one before, in one
    /// piece, without attachments, and nobody else waits for one. `None`: take the long way, which also
    /// tells what was wrong, if anything was.
    #[inline(always)]
    pub(crate) fn receive_at_once<R: MessageBox>(&self, patient: bool) -> Option<R> {
        match self.state.stay() {
            Some(mut state) => state.receive_at_once(patient),
            None => self.receive_at_once_exclusively(patient),
        }
    }

    #[inline(never)]
    fn receive_at_once_exclusively<R: MessageBox>(&self, patient: bool) -> Option<R> {
        self.state.lock().receive_at_once(patient)
    }

    /// The next message; `None` if there is none (by `deadline`, or at once).
    pub(crate) fn receive<R: MessageBox>(
        &self,
        patience: Patience,
    ) -> Result<Option<Message<R>>, RecvError> {
        let mut state = self.state.lock();
        if let Some((payload, reply_to)) = state.rx.as_deref_mut().and_then(Rx::take_request) {
            self.leave(&mut state);
            let message = Message::received(payload, Vec::new(), Vec::new(), Some(reply_to));
            return Ok(Some(message));
        }
        loop {
            let State { rx, requests, .. } = &mut *state;
            let Some(rx) = rx.as_deref_mut() else {
                // Another thread waits for a message; it is served first.
                match self.wait_for_turn(state, patience) {
                    Some(again) => state = again,
                    None => return Ok(None),
                }
                continue;
            };
            match self.next::<R>(rx, requests) {
                Ok(None) => {}
                result => {
                    self.leave(&mut state);
                    return result;
                }
            }
            if patience.is_over() {
                self.leave(&mut state);
                return Ok(None);
            }
            if rx.spin() {
                continue;
            }
            if requests.sleeper.is_some() {
                // It sleeps for us too; but what we have read has to be told anew.
                requests.read = true;
                if self.get_ready_to_sleep(rx, requests) && !rx.has_news() {
                    match self.wait_for_turn(state, patience) {
                        Some(again) => state = again,
                        None => return Ok(None),
                    }
                }
                continue;
            }
            let Some(mut rx) = state.rx.take() else {
                continue;
            };
            drop(state);
            self.sleep(&mut rx, patience);
            state = self.state.lock();
            state.rx = Some(rx);
            self.pass_turn(&state);
        }
    }

    /// The descriptor that is readable while a message waits.
    pub(crate) fn watch(&self) -> BorrowedFd<'_> {
        let mut state = self.state.lock();
        if !state.watched {
            state.watched = true;
            self.settle(&mut state);
        }
        self.hearing.as_fd()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let Some(Findings { statistics, .. }) = self.find_out() else {
            return Statistics::default();
        };
        Statistics {
            unexpected_replies: self.state.lock().requests.unexpected(),
            ..statistics
        }
    }

    pub(crate) fn usage(&self) -> InboxUsage {
        let senders = self.find_out().map(|findings| findings.senders);
        InboxUsage {
            senders: senders.unwrap_or_default(),
            kept: self.state.lock().requests.kept.quota(),
        }
    }

    /// Looks at the lanes, or has the thread do it that sleeps with them. `None`: nothing is received any more.
    fn find_out(&self) -> Option<Findings> {
        loop {
            let mut state = self.state.lock();
            if let Some(rx) = state.rx.as_deref_mut() {
                self.hand_over_arrivals(rx);
                return Some(rx.findings());
            }
            if state.closed {
                return None;
            }
            let (question, answer) = mpsc::channel();
            self.arrivals().push(Arrival::Question(question));
            drop(state);
            self.doorbell.ring();
            if let Ok(findings) = answer.recv_timeout(ANSWER_TIME) {
                return Some(findings);
            }
        }
    }

    /// Receives no more: whoever sends to us will see it. Returns who has asked us something.
    pub(crate) fn close(&self) -> Vec<EndpointId> {
        let mut askers = Vec::new();
        let mut state = self.state.lock();
        state.closed = true;
        let rx = state.rx.take();
        state.requests.call_all(&self.doorbell);
        drop(state);
        if let Some(mut rx) = rx {
            let arrivals = std::mem::take(&mut *self.arrivals());
            rx.take_arrivals(arrivals);
            askers = rx.close();
        }
        self.arrivals().clear();
        askers
    }

    fn next<R: MessageBox>(
        &self,
        rx: &mut Rx,
        requests: &mut Requests,
    ) -> Result<Option<Message<R>>, RecvError> {
        if let Some(failure) = rx.failure.take() {
            return Err(failure);
        }
        // Bounded, because a hostile sender can always show news that come to nothing, and send more
        // of what nobody wants.
        let (mut looks, mut skipped) = (0, 0);
        while skipped < SKIPS {
            if rx.wants_arrivals() {
                self.hand_over_arrivals(rx);
            }
            if requests.waits > 0 && !requests.read {
                requests.read = requests.kept.is_full() || requests.has_news(rx);
            }
            let next = match rx.next_kept(&mut requests.kept) {
                Some(incoming) => Next::Message(incoming),
                None => rx.next()?,
            };
            let mut incoming = match next {
                Next::Message(incoming) => incoming,
                Next::Nothing if rx.has_scanned() || looks > 1 => {
                    requests.bury(rx, &self.doorbell);
                    return Ok(None);
                }
                Next::Nothing => {
                    looks += 1;
                    self.hand_over_arrivals(rx);
                    rx.scan();
                    continue;
                }
            };
            skipped += 1;
            if let Some(Correlation::Reply(number)) = incoming.correlation {
                let (incoming, bytes) = rx.take_out(incoming);
                requests.reply(number, incoming, bytes, &self.doorbell);
                continue;
            }
            match rx.decode(&mut incoming) {
                Ok(payload) => return Ok(Some(message_of(incoming, payload))),
                Err(error) => rx.judge(error)?,
            }
        }
        Ok(None)
    }

    fn sleep(&self, rx: &mut Rx, patience: Patience) {
        // Not when it wakes us: then there is something better to do first.
        if std::mem::take(&mut rx.rung) {
            self.hearing.clear();
        }
        rx.arm();
        self.hand_over_arrivals(rx);
        rx.scan();
        if !rx.has_news() {
            let start = Instant::now();
            let heard = self.hearing.wait(patience.left());
            rx.rung = !matches!(heard, Ok(Heard::Nothing | Heard::Cleared));
            rx.slept(start.elapsed());
        }
        rx.disarm();
        self.hand_over_arrivals(rx);
        rx.scan();
    }

    /// Ends a thread's stay: others go on.
    #[inline]
    fn leave(&self, state: &mut State) {
        self.settle(state);
        self.pass_turn(state);
        if state.requests.waits > 0 {
            self.leave_to_those_who_wait(state);
        }
    }

    /// Sees to it that somebody looks for those who wait for replies.
    fn leave_to_those_who_wait(&self, state: &mut State) {
        let State {
            rx: Some(rx),
            requests,
            watched,
            waiting,
            ..
        } = state
        else {
            return;
        };
        if let Some(number) = requests.sleeper {
            if requests.read && !self.get_ready_to_sleep(rx, requests) {
                requests.call(number, &self.doorbell);
            }
            return;
        }
        if !*watched {
            rx.disarm();
        }
        if *waiting == 0 {
            requests.call_next();
        }
    }

    /// Keeps the promise of [`watch`](Self::watch): the doorbell is rung if and only if there is
    /// something to receive.
    fn settle(&self, state: &mut State) {
        if !state.watched {
            return;
        }
        let State {
            rx, requests, rung, ..
        } = state;
        let Some(rx) = rx.as_deref_mut() else {
            return; // the sleeping thread settles when it returns
        };
        if *rung && rx.has_news() {
            return;
        }
        self.hearing.clear();
        rx.disarm();
        rx.arm();
        requests.read = false;
        self.hand_over_arrivals(rx);
        rx.scan();
        requests.bury(rx, &self.doorbell);
        *rung = rx.has_news() || !requests.kept.is_empty() || requests.is_called();
        if *rung {
            self.doorbell.ring();
        }
    }

    fn hand_over_arrivals(&self, rx: &mut Rx) {
        let mut arrivals = self.arrivals();
        if !arrivals.is_empty() {
            let taken = std::mem::take(&mut *arrivals);
            drop(arrivals);
            rx.take_arrivals(taken);
        }
    }

    /// Wakes one of those who wait: whoever wakes it is not going to sleep before it has had a look.
    #[inline]
    fn pass_turn(&self, state: &State) {
        if state.waiting > 0 {
            *self.turns.count() += 1;
            self.turns.returned.notify_one();
        }
    }

    fn wait_for_turn<'a>(
        &'a self,
        mut state: BiasedGuard<'a, State>,
        patience: Patience,
    ) -> Option<BiasedGuard<'a, State>> {
        if state.closed || patience.is_over() {
            return None;
        }
        state.waiting += 1;
        // Taken before the state is free, so that nobody comes back unnoticed.
        let count = self.turns.count();
        drop(state);
        drop(patience.wait(&self.turns.returned, count));
        let mut state = self.state.lock();
        state.waiting -= 1;
        Some(state)
    }

    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    #[inline(always)]
    fn receive_at_once<R: MessageBox>(&mut self, patient: bool) -> Option<R> {
        if self.watched || self.waiting > 0 || self.requests.waits > 0 {
            return None;
        }
        self.rx.as_deref_mut()?.receive_at_once(patient)
    }
}

/// What the user gets.
fn message_of<T: MessageBox>(incoming: Incoming, payload: T) -> Message<T> {
    let reply_to = match incoming.correlation {
        Some(Correlation::Request(number)) => Some(ReplyTo {
            endpoint: incoming.from,
            number,
        }),
        _ => None,
    };
    Message::received(payload, incoming.objects, incoming.regions, reply_to)
}

impl Turns {
    fn count(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the receiving thread works on.

mod at_once;
mod labour;
mod parked;

use super::{
    Arrival, Findings, Limits, PairId,
    attachments::{Delivery, Incoming, Malformed},
    kept::Kept,
    queue::Queue,
    source::{Pull, PullError, Source},
    spin::Spin,
};
use crate::{
    Error, MessageBox, RecvError, bytes::Received, loan::resolving, memory::Shared, peer::ENVELOPE,
    request::ReplyTo,
};
use ipmb_core::{EndpointId, TypeId};
use ipmb_lane::{ReadySet, Sleeper};
use labour::Labour;
use parked::Parked;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// With up to this many senders, looking at each lane beats looking at the ready set, which then
/// stays set and costs the senders nothing but a look.
const FEW: usize = 16;
/// After so many messages, senders and lanes that are new, or that the ready set does not show,
/// get a look.
const SCAN_EVERY: u32 = 256;
/// So many messages in a row come from one sender before the next one has its turn.
const BURST: u32 = 64;
/// So many looks come between two looks at the clock,
const LOOKS: u32 = 32;
/// and so often that is done before the processor is offered to others each time.
const ROUNDS: u32 = 8;
/// So many looks without a message are enough before time limits are looked at,
const PATIENCE: u32 = 1024;
/// and so many of those that take work.
const LABOURS: u32 = 64;
/// From this size on a payload is moved instead of copied, in bytes.
const LARGE: usize = 4096;

/// What this endpoint has received so far that did not reach the user.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages of types that the endpoint's message box does not know, and parked messages over the
    /// endpoint's limit.
    pub skipped: u64,
    /// Messages that senders dropped, because the endpoint's [`Overflow`](crate::Overflow) policy
    /// says so.
    pub dropped: u64,
    /// Senders that were cut off because they did not keep to the protocol.
    pub cut_off: u64,
    /// Replies that came too late, or a second time, or from somebody else than who was asked.
    pub unexpected_replies: u64,
}

pub(super) struct Rx {
    limits: Limits,
    sleeper: Sleeper<Shared>,
    ready: ReadySet<Shared>,
    spin: Spin,
    sources: Vec<Option<Source>>,
    by_id: HashMap<PairId, usize>,
    /// Whose turn it is, for few senders; the queue of those with news, for many.
    turn: usize,
    burst: u32,
    queue: Queue,
    labour: Labour,
    since_scan: u32,
    /// So many messages may be [received at once](Self::receive_at_once) from this source. They are in
    /// `burst` and `since_scan` already.
    express: (u32, usize),
    /// The source from which a reply came last.
    replies: usize,
    scanned: bool,
    parked: Parked,
    /// Who has asked something that was parked.
    askers: Vec<EndpointId>,
    /// Who is gone, for those who wait for replies.
    pub(super) departed: Vec<EndpointId>,
    buffer: Vec<u8>,
    /// A request that was found when a message was to be received at once, with its bytes.
    request: Option<(TypeId, ReplyTo, Vec<u8>)>,
    /// What was wrong with a message that was received at once.
    pub(super) failure: Option<RecvError>,
    statistics: Statistics,
    lost: bool,
    /// The doorbell has woken us, and its hearing was not cleared since.
    pub(super) rung: bool,
}

pub(super) enum Next {
    Message(Incoming),
    Nothing,
}

impl Rx {
    pub(super) fn new(limits: Limits, sleeper: Sleeper<Shared>, ready: ReadySet<Shared>) -> Self {
        Self {
            limits,
            sleeper,
            ready,
            spin: Spin::new(limits.spin),
            sources: Vec::new(),
            by_id: HashMap::new(),
            turn: 0,
            burst: 0,
            queue: Queue::default(),
            labour: Labour::default(),
            since_scan: 0,
            express: (0, 0),
            replies: 0,
            scanned: false,
            parked: Parked::default(),
            askers: Vec::new(),
            departed: Vec::new(),
            buffer: Vec::new(),
            request: None,
            failure: None,
            statistics: Statistics::default(),
            lost: false,
            rung: false,
        }
    }

    /// The next message, if one is there as far as the last scan and the ready set tell.
    pub(super) fn next(&mut self) -> Result<Next, RecvError> {
        self.express.0 = 0;
        if !self.parked.is_empty()
            && let Some(incoming) = self.next_parked()?
        {
            return Ok(Next::Message(incoming));
        }
        let longest = self.limits.message.saturating_add(ENVELOPE as u64);
        let mut labours = 0;
        for _ in 0..PATIENCE {
            let is_due = self.labour.is_due();
            let picked = if is_due { None } else { self.pick() };
            let Some(index) = picked else {
                labours += 1;
                match self.labour(longest)? {
                    Some(Pull::Message(incoming)) => {
                        self.since_scan += 1;
                        if self.is_new(&incoming) {
                            return Ok(Next::Message(incoming));
                        }
                    }
                    None if !is_due => break,
                    _ if labours >= LABOURS => break,
                    _ => {}
                }
                continue;
            };
            let Some(source) = self.sources[index].as_mut() else {
                self.pass(index, false);
                continue;
            };
            match source.pull(&mut self.buffer, longest) {
                Ok(Pull::Message(incoming)) => {
                    self.since_scan += 1;
                    self.scanned = false;
                    self.burst += 1;
                    if self.burst >= BURST {
                        self.pass(index, true);
                    }
                    if !self.is_new(&incoming) {
                        continue;
                    }
                    self.prepare_express();
                    return Ok(Next::Message(incoming));
                }
                Ok(Pull::More) if source.is_laborious() => {
                    self.pass(index, false);
                    self.labour.add(index);
                }
                Ok(Pull::More) => {}
                Ok(Pull::Nothing) => self.pass(index, false),
                Err(PullError::Resources(error)) => {
                    // The others are not to wait for it.
                    self.pass(index, false);
                    self.line_up(index);
                    return Err(RecvError::Resources(error));
                }
                Err(PullError::Malformed(why)) => self.cut_off(index, &why),
            }
        }
        if self.lost && !self.has_news() {
            return Err(RecvError::Disconnected(
                "the driver of the endpoint has ended".into(),
            ));
        }
        Ok(Next::Nothing)
    }

    /// The next message of one endpoint.
    pub(super) fn next_from(&mut self, from: EndpointId) -> Result<Option<Incoming>, RecvError> {
        self.express.0 = 0;
        let longest = self.limits.message.saturating_add(ENVELOPE as u64);
        for _ in 0..PATIENCE {
            let is_it = |it: &Source| it.endpoint == from && it.has_news();
            let mut sources = self.sources.iter();
            let index = sources.position(|source| source.as_ref().is_some_and(is_it));
            let Some((index, source)) =
                index.and_then(|index| Some((index, self.sources[index].as_mut()?)))
            else {
                break;
            };
            match source.pull(&mut self.buffer, longest) {
                Ok(Pull::Message(incoming)) => {
                    self.since_scan += 1;
                    self.scanned = false;
                    if self.is_new(&incoming) {
                        return Ok(Some(incoming));
                    }
                }
                Ok(Pull::More) => {}
                Ok(Pull::Nothing) => break,
                Err(PullError::Resources(error)) => return Err(RecvError::Resources(error)),
                Err(PullError::Malformed(why)) => self.cut_off(index, &why),
            }
        }
        Ok(None)
    }

    /// The next message of those that were kept. What was parked before we joined comes first.
    #[inline]
    pub(super) fn next_kept(&mut self, kept: &mut Kept) -> Option<Incoming> {
        if kept.is_empty() || !self.parked.is_empty() {
            return None;
        }
        let (incoming, bytes) = kept.pop()?;
        self.buffer = bytes;
        Some(incoming)
    }

    /// A message that is to outlive the next one, and the bytes in which its payload lies.
    pub(super) fn take_out(&mut self, mut incoming: Incoming) -> (Incoming, Vec<u8>) {
        if incoming.payload.len() >= LARGE {
            return (incoming, std::mem::take(&mut self.buffer));
        }
        let bytes = self.buffer.get(incoming.payload.clone());
        let bytes = bytes.unwrap_or_default().to_vec();
        incoming.payload = 0..bytes.len();
        (incoming, bytes)
    }

    /// The payload of the message taken last.
    pub(super) fn decode<R: MessageBox>(&mut self, incoming: &mut Incoming) -> Result<R, Error> {
        let views = std::mem::take(&mut incoming.views);
        resolving(views, || R::decode_received(self.payload(incoming)))
    }

    fn payload(&mut self, incoming: &Incoming) -> Received<'_> {
        Received {
            type_id: incoming.type_id,
            buffer: &mut self.buffer,
            payload: incoming.payload.clone(),
        }
    }

    /// What a message that could not be decoded is to the user: skipped, or an error.
    #[cold]
    pub(super) fn judge(&mut self, error: Error) -> Result<(), RecvError> {
        match error {
            Error::TypeUuidNotFound => {}
            Error::Decode(error) => return Err(RecvError::Decode(error)),
            error => {
                tracing::warn!(%error, "a message box failed to decode a message: skipped");
            }
        }
        self.statistics.skipped += 1;
        Ok(())
    }

    /// Lets the messages that follow in this turn be taken at once.
    fn prepare_express(&mut self) {
        let turn = if self.few() {
            Some(self.turn)
        } else {
            self.queue.front()
        };
        if let Some(index) = turn.filter(|_| self.parked.is_empty()) {
            let left = (BURST - 1).saturating_sub(self.burst);
            let left = left.min(SCAN_EVERY.saturating_sub(self.since_scan));
            self.burst += left;
            self.since_scan += left;
            self.express = (left, index);
        }
    }

    /// Whether it is time to look for arrivals, although there are messages.
    pub(super) fn wants_arrivals(&mut self) -> bool {
        self.since_scan >= SCAN_EVERY && {
            self.since_scan = 0;
            true
        }
    }

    /// Whether the last scan is younger than the last message.
    pub(super) fn has_scanned(&self) -> bool {
        self.scanned
    }

    pub(super) fn take_arrivals(&mut self, arrivals: Vec<Arrival>) {
        for arrival in arrivals {
            match arrival {
                Arrival::Sender(id, endpoint, pid, channel) => {
                    let index = self.vacant();
                    let slot = index as u32;
                    let budget = self.limits.budget;
                    let mut source = Source::new(endpoint, pid, channel, slot, budget);
                    source.pair = id;
                    self.sources[index] = Some(source);
                    self.by_id.insert(id, index);
                }
                Arrival::ChannelNews(id) => {
                    if let Some(&index) = self.by_id.get(&id) {
                        self.channel_news(index);
                    }
                }
                Arrival::SenderGone(id) => {
                    if let Some(index) = self.by_id.remove(&id) {
                        self.channel_news(index);
                        if let Some(source) = self.sources[index].as_mut() {
                            source.gone = true;
                        }
                    }
                }
                Arrival::Gone(endpoint) => self.departed.push(endpoint),
                Arrival::Parked(delivery) => self.keep_parked(delivery),
                Arrival::Lost => self.lost = true,
                Arrival::Question(question) => drop(question.send(self.findings())),
            }
        }
    }

    /// Looks at every lane. Nothing that a peer can do to the ready set makes us overlook
    /// a message for longer than until here.
    pub(super) fn scan(&mut self) {
        self.since_scan = 0;
        self.scanned = true;
        for index in 0..self.sources.len() {
            let Some(source) = self.sources[index].as_mut() else {
                continue;
            };
            source.tidy_regions();
            if source.has_news() {
                self.line_up(index);
            } else if source.is_finished() {
                self.remove(index);
            }
        }
    }

    pub(super) fn has_news(&self) -> bool {
        !self.parked.is_empty()
            || !self.labour.leaving().is_empty()
            || self.sources.iter().flatten().any(Source::has_news)
    }

    /// Whether there is something to read from one endpoint.
    #[inline]
    pub(super) fn has_news_from(&self, endpoint: EndpointId) -> bool {
        let is_it = |source: &Source| source.endpoint == endpoint && source.has_news();
        self.sources.iter().flatten().any(is_it)
    }

    /// Whether the endpoint has lost the bus for good.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Looks for news for a while, if that has paid off before.
    #[inline]
    pub(super) fn spin(&mut self) -> bool {
        self.spin_for(Self::glance)
    }

    /// Looks for certain news.
    pub(super) fn spin_for(&mut self, glance: impl Fn(&Self) -> bool) -> bool {
        let budget = self.spin.budget();
        if budget.is_zero() {
            return false;
        }
        let start = Instant::now();
        for round in 0.. {
            for _ in 0..LOOKS {
                if glance(self) {
                    self.scanned = false;
                    self.spin.spun(true);
                    return true;
                }
                std::hint::spin_loop();
            }
            // Whoever is to bring news may be waiting for this very processor.
            if round >= ROUNDS {
                std::thread::yield_now();
            }
            if start.elapsed() >= budget && !glance(self) {
                break;
            }
        }
        self.spin.spun(false);
        false
    }

    pub(super) fn slept(&mut self, time: Duration) {
        self.spin.slept(time);
    }

    pub(super) fn arm(&mut self) {
        self.sleeper.arm();
    }

    pub(super) fn disarm(&mut self) {
        self.sleeper.disarm();
    }

    pub(super) fn is_armed(&self) -> bool {
        self.sleeper.is_armed()
    }

    pub(super) fn findings(&self) -> Findings {
        let sources = || self.sources.iter().flatten();
        let dropped: u64 = sources().map(Source::dropped).sum();
        Findings {
            statistics: Statistics {
                dropped: self.statistics.dropped + dropped,
                ..self.statistics
            },
            senders: sources().map(|it| it.usage(self.limits.message)).collect(),
        }
    }

    /// Receives no more. Returns who has asked something.
    pub(super) fn close(&mut self) -> Vec<EndpointId> {
        let mut askers = Vec::new();
        for source in &mut self.sources {
            if let Some(source) = source.take() {
                askers.extend(source.has_ever_asked().then_some(source.endpoint));
                self.labour.see_off(source);
            }
        }
        self.labour.finish();
        // Opened, so that the regions in them are given back; with no lanes left, nothing is in front of them.
        while let Ok(Some(_)) = self.next_parked() {}
        askers.append(&mut self.askers);
        askers
    }

    fn few(&self) -> bool {
        self.sources.len() <= FEW
    }

    /// The source to read from.
    fn pick(&mut self) -> Option<usize> {
        if self.few() {
            let count = self.sources.len();
            for step in 0..count {
                let index = (self.turn + step) % count;
                let is_it = |source: &Source| source.has_news() && !source.is_laborious();
                if self.sources[index].as_ref().is_some_and(is_it) {
                    if index != self.turn {
                        self.turn = index;
                        self.burst = 0;
                    }
                    return Some(index);
                }
            }
            return None;
        }
        if self.queue.is_empty() {
            self.take_ready();
        }
        while let Some(index) = self.queue.front() {
            let source = self.sources.get(index).and_then(Option::as_ref);
            if !source.is_some_and(Source::is_laborious) {
                return Some(index);
            }
            self.queue.pop();
            self.labour.add(index);
        }
        None
    }

    /// Ends the turn of a source.
    fn pass(&mut self, index: usize, has_more: bool) {
        self.burst = 0;
        if self.few() {
            self.turn = index + 1;
            return;
        }
        self.queue.pop();
        if has_more {
            self.queue.push(index);
        }
    }

    fn take_ready(&mut self) {
        let slots = ipmb_lane::READY_SLOTS as usize;
        for word in 0..ReadySet::<Shared>::words() {
            let mut bits = self.ready.take(word);
            while bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // Slots beyond the set share its bits.
                for index in (slot..self.sources.len()).step_by(slots) {
                    self.queue.push(index);
                }
            }
        }
    }

    fn glance(&self) -> bool {
        if !self.labour.is_empty() {
            return true;
        }
        if self.few() {
            return self.sources.iter().flatten().any(Source::has_news);
        }
        (0..ReadySet::<Shared>::words()).any(|word| self.ready.peek(word) != 0)
    }

    fn channel_news(&mut self, index: usize) {
        let Some(source) = self.sources[index].as_mut() else {
            return;
        };
        match source.channel_news() {
            Ok(()) => self.scanned = false,
            Err(PullError::Resources(error)) => {
                tracing::warn!(pid = source.pid, %error, "a sender's lane cannot be mapped yet");
            }
            Err(PullError::Malformed(why)) => self.cut_off(index, &why),
        }
    }

    fn cut_off(&mut self, index: usize, why: &Malformed) {
        if let Some(source) = &mut self.sources[index] {
            tracing::warn!(pid = source.pid, %why, "a sender is cut off");
            self.departed.push(source.endpoint);
            source.drop_objects();
        }
        self.statistics.cut_off += 1;
        self.remove(index);
    }

    fn vacant(&mut self) -> usize {
        match self.sources.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.sources.push(None);
                self.sources.len() - 1
            }
        }
    }

    fn remove(&mut self, index: usize) {
        if let Some(source) = self.sources[index].take() {
            self.statistics.dropped += source.dropped();
            self.by_id.retain(|_, at| *at != index);
            self.labour.see_off(source);
        }
    }
}

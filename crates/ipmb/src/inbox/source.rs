//! One sender, as its receiver sees it: the lanes, what waits on the channel, the regions it has
//! shown us.

mod packets;
mod usage;

use super::{
    OURSELVES, PairId,
    attachments::{Attached, Frame, Incoming, Malformed},
};
use crate::{
    loan::{Ledger, Views},
    memory::Shared,
    peer::largest_lane,
    region::Block,
};
use ipmb_core::{
    Correlation, DeclaredTypes, EndpointId, LaneMessage, LoanRef, MessageHeader, ParkId, RegionId,
    TypeId,
};
use ipmb_lane::{Consumer, Popped};
use ipmb_sys::{Channel, Doorbell, MapError, OwnedObject, SmallPacket, descriptor_limit};
use std::{
    collections::{HashMap, VecDeque},
    io,
    ops::Range,
    sync::Arc,
};

const FEW_REGIONS: usize = 4;
/// So many regions of one sender are kept at least, whatever descriptors there are; and a quarter of
/// these otherwise.
const FEWEST_REGIONS: usize = 64;
/// So many packets are read in search of one: more than fit into a channel, and a sender that keeps
/// to the protocol has sent it before.
const MOST_PACKETS: usize = 4096;
/// What is done at a time before others get their turn: messages that are thrown away,
const DRAINED: usize = 64;
/// and regions that are mapped, or let go of.
const REGIONS: usize = 128;

pub(super) struct Source {
    pub(super) endpoint: EndpointId,
    /// On which channel it comes.
    pub(super) pair: PairId,
    /// For the log.
    pub(super) pid: u32,
    channel: Arc<Channel>,
    slot: u32,
    largest_lane: usize,
    /// The sender's doorbell, to be rung when it waits for room.
    room: Option<Doorbell>,
    /// In the order in which they are to be read.
    lanes: VecDeque<Consumer<Shared>>,
    /// Lanes that the sender has offered so far.
    offered: u32,
    /// What was offered last, while there is no memory to map it.
    unmapped: Option<[OwnedObject; 2]>,
    /// The channel is not read to its end, and there may be a first lane in it.
    unread: bool,
    /// Packets that were read in search of what is not found yet.
    searched: usize,
    /// Packets from the channel that are not read yet.
    packets: VecDeque<SmallPacket>,
    /// So many came at once the last time.
    arrived: usize,
    /// Packets of objects that were read from the channel before their message: its number, and the
    /// objects, at least one.
    objects: VecDeque<(u64, Vec<OwnedObject>)>,
    /// How many those are.
    waiting: usize,
    /// What the sender has declared, whichever lane it stood in.
    types: DeclaredTypes,
    regions: HashMap<RegionId, Arc<Block>>,
    /// What the sender has lent us.
    loans: Ledger,
    /// With so many regions it is time to let go of dead ones.
    tidy_at: usize,
    /// A message whose objects could not be taken over yet.
    stalled: Option<(Stalled, Vec<u8>)>,
    pub(super) gone: bool,
    /// Nothing more is received: so many more lanes are read at most, and closed at once.
    closed: Option<usize>,
    /// It has sent a request.
    asked: bool,
    dropped_before: u64,
}

/// A message for which there were no descriptors or no memory.
enum Stalled {
    /// Its attachments are not all there.
    Attached(Box<Pending>),
    /// What it refers to is not all there, or nobody has looked yet. With its tag.
    Unopened(u16),
}

/// A message with attachments that is not put together yet.
struct Pending {
    views: Views,
    header: MessageHeader,
    sequence: u64,
    payload: Range<usize>,
    /// Once they are taken over.
    attached: Option<Attached>,
}

/// What one look at a source brought.
pub(super) enum Pull {
    Message(Incoming),
    /// Something was done, look again.
    More,
    Nothing,
}

/// What came of reading the channel in search of something.
#[derive(PartialEq, Eq)]
enum Search {
    Found,
    /// What has arrived together is read. There may be more, and others have their turn first.
    Later,
    /// All is read.
    Nothing,
}

/// Why a source could not be read.
pub(super) enum PullError {
    /// The sender does not keep to the protocol.
    Malformed(Malformed),
    /// Nothing is lost; try again when there are free descriptors.
    Resources(io::Error),
}

#[cfg(feature = "fuzzing")]
impl PullError {
    pub(super) fn is_of_the_sender(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }
}

impl<E: Into<Malformed>> From<E> for PullError {
    fn from(error: E) -> Self {
        Self::Malformed(error.into())
    }
}

impl Source {
    pub(super) fn new(
        endpoint: EndpointId,
        pid: u32,
        channel: Arc<Channel>,
        slot: u32,
        budget: u64,
    ) -> Self {
        Self {
            endpoint,
            pair: OURSELVES,
            pid,
            channel,
            slot,
            largest_lane: largest_lane(budget),
            room: None,
            lanes: VecDeque::new(),
            offered: 0,
            unmapped: None,
            unread: false,
            searched: 0,
            packets: VecDeque::new(),
            arrived: 0,
            objects: VecDeque::new(),
            waiting: 0,
            types: DeclaredTypes::default(),
            regions: HashMap::new(),
            loans: Ledger::default(),
            tidy_at: FEW_REGIONS,
            stalled: None,
            gone: false,
            closed: None,
            asked: false,
            dropped_before: 0,
        }
    }

    /// Whether there is something to read, as far as the lanes tell.
    #[inline]
    pub(super) fn has_news(&self) -> bool {
        match self.lanes.front() {
            Some(lane) => lane.has_news() || lane.is_retired() || self.stalled.is_some(),
            None => self.unread,
        }
    }

    /// Whether it takes more work than one look until something comes of its news, if anything: those
    /// of whom that is not so are not to wait for it.
    #[inline]
    pub(super) fn is_laborious(&self) -> bool {
        self.searched > 0 || (self.unread && self.lanes.is_empty())
    }

    /// Whether it has objects here whose message is not.
    pub(super) fn has_objects_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether nothing can ever come from here again.
    pub(super) fn is_finished(&self) -> bool {
        self.gone && !self.has_news()
    }

    /// How many messages the sender has dropped because we had no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped_before + self.lanes.iter().map(Consumer::dropped).sum::<u64>()
    }

    /// Reads the next message if it came in one piece, and is of a type that is declared or has an envelope;
    /// leaves whatever else there is. Returns its tag; what came is all of `buffer`.
    #[inline(always)]
    pub(super) fn pull_at_once(&mut self, buffer: &mut Vec<u8>, limit: u64) -> Option<u16> {
        if self.stalled.is_some() {
            return None;
        }
        let lane = self.lanes.front_mut()?;
        let types = self.types.count();
        // An envelope, or a declared type.
        let accepted =
            |tag: u16| tag == LaneMessage::TAG || (tag & !LoanRef::TAG_BIT).wrapping_sub(1) < types;
        let tag = lane.pop_whole(buffer, limit, accepted)?;
        if lane.wants_room() {
            self.ring_for_room();
        }
        Some(tag)
    }

    /// Leaves a message that was [pulled at once](Self::pull_at_once) for [`pull`](Self::pull).
    #[cold]
    pub(super) fn put_back(&mut self, tag: u16, message: Vec<u8>) {
        self.stalled = Some((Stalled::Unopened(tag), message));
    }

    /// It has asked something.
    #[inline]
    pub(super) fn has_asked(&mut self) {
        self.asked = true;
    }

    /// The type that a tag stands for.
    #[inline]
    pub(super) fn type_of(&self, tag: u16) -> Option<TypeId> {
        self.types.type_of(tag).ok()
    }

    /// Reads the next message. Its payload is in `buffer`.
    pub(super) fn pull(&mut self, buffer: &mut Vec<u8>, limit: u64) -> Result<Pull, PullError> {
        if let Some((stalled, body)) = self.stalled.take() {
            *buffer = body;
            return match stalled {
                Stalled::Attached(pending) => self.complete(*pending, buffer),
                Stalled::Unopened(tag) => self.open_tagged(tag, buffer),
            };
        }
        if self.lanes.is_empty() && self.unread {
            self.channel_news()?;
            return Ok(Pull::More);
        }
        let Some(lane) = self.lanes.front_mut() else {
            return Ok(Pull::Nothing);
        };
        let popped = lane.pop(buffer, limit)?;
        if lane.wants_room()
            && let Some(room) = &self.room
        {
            room.ring();
        }
        match popped {
            Popped::Message { tag } => self.open_tagged(tag, buffer),
            Popped::Partial => Ok(Pull::More),
            Popped::Empty if lane.is_retired() => self.next_lane(),
            _ => Ok(Pull::Nothing),
        }
    }

    #[cold]
    fn ring_for_room(&self) {
        if let Some(room) = &self.room {
            room.ring();
        }
    }

    #[inline]
    fn open_tagged(&mut self, tag: u16, buffer: &mut Vec<u8>) -> Result<Pull, PullError> {
        match tag & LoanRef::TAG_BIT {
            0 => self.open(tag, buffer, Views::new()),
            _ => self.open_lent(tag, buffer),
        }
    }

    /// Opens a message behind whose payload there are references to what was lent.
    fn open_lent(&mut self, tag: u16, buffer: &mut Vec<u8>) -> Result<Pull, PullError> {
        match self.take_views(buffer) {
            Ok(Some((views, len))) => {
                buffer.truncate(len);
                self.open(tag & !LoanRef::TAG_BIT, buffer, views)
            }
            Ok(None) => {
                self.stalled = Some((Stalled::Unopened(tag), std::mem::take(buffer)));
                Ok(Pull::More)
            }
            Err(PullError::Resources(error)) => {
                self.stalled = Some((Stalled::Unopened(tag), std::mem::take(buffer)));
                Err(PullError::Resources(error))
            }
            Err(error) => Err(error),
        }
    }

    /// The same on the short way, where nothing is to be waited for: such a message is stalled.
    #[inline(never)]
    pub(super) fn open_lent_at_once(
        &mut self,
        tag: u16,
        mut message: Vec<u8>,
        views: &mut Views,
    ) -> Option<(TypeId, Vec<u8>)> {
        let Some(len) = self.take_views_at_once(&message, views) else {
            views.clear();
            self.stalled = Some((Stalled::Unopened(tag), message));
            return None;
        };
        message.truncate(len);
        Some((self.type_of(tag & !LoanRef::TAG_BIT)?, message))
    }

    #[inline]
    fn take_views_at_once(&mut self, message: &[u8], views: &mut Views) -> Option<usize> {
        let (references, len) = LoanRef::split(message).ok()?;
        for reference in references.iter() {
            if !matches!(self.loans.prepare(&reference), Ok(true)) {
                return None;
            }
        }
        views.clear();
        for reference in references.iter() {
            views.push(self.loans.view(&reference)?);
        }
        Some(len)
    }

    /// What a message refers to, and the length of what precedes the references. `None`: it is not all
    /// found yet.
    fn take_views(&mut self, message: &[u8]) -> Result<Option<(Views, usize)>, PullError> {
        let (references, len) = LoanRef::split(message)?;
        for reference in references.iter() {
            if !self.be_shown(&reference)? {
                return Ok(None);
            }
        }
        // Only now that nothing can get in between: what is made here is given back when dropped.
        let mut views = Views::new();
        for reference in references.iter() {
            views.push(self.loans.view(&reference).ok_or(Malformed::Loans)?);
        }
        Ok(Some((views, len)))
    }

    /// Reads the channel until what a message refers to is there; `false`: not yet.
    fn be_shown(&mut self, reference: &LoanRef) -> Result<bool, PullError> {
        let search = self.search(|source| match source.loans.prepare(reference) {
            Ok(is_there) => Ok(is_there),
            Err(MapError::Io(error)) => Err(PullError::Resources(error)),
            Err(_) => Err(Malformed::Loans.into()),
        })?;
        match search {
            Search::Found => Ok(true),
            Search::Later => Ok(false),
            // A sender shows what it lends before it publishes the message.
            Search::Nothing => Err(Malformed::Loans.into()),
        }
    }

    #[inline]
    fn open(&mut self, tag: u16, buffer: &mut Vec<u8>, views: Views) -> Result<Pull, PullError> {
        if tag == LaneMessage::TAG {
            return self.open_envelope(buffer, views);
        }
        let type_id = self.types.type_of(tag)?;
        let mut incoming = Incoming::plain(self.endpoint, type_id, 0..buffer.len());
        incoming.views = views;
        Ok(Pull::Message(incoming))
    }

    #[inline]
    fn open_envelope(&mut self, buffer: &mut Vec<u8>, views: Views) -> Result<Pull, PullError> {
        let (type_id, correlation, payload) = match MessageHeader::parse_fixed(buffer) {
            Some((type_id, payload)) => (type_id, None, payload),
            None => match MessageHeader::parse_correlated(buffer) {
                Some((type_id, correlation, payload)) => (type_id, Some(correlation), payload),
                None => return self.open_frame(buffer, views),
            },
        };
        let payload = buffer.len() - payload.len()..buffer.len();
        let mut incoming = Incoming::plain(self.endpoint, type_id, payload);
        incoming.correlation = correlation;
        incoming.views = views;
        self.asked |= matches!(correlation, Some(Correlation::Request(_)));
        Ok(Pull::Message(incoming))
    }

    fn open_frame(&mut self, buffer: &mut Vec<u8>, views: Views) -> Result<Pull, PullError> {
        match Frame::parse(buffer)? {
            Frame::Message {
                header,
                sequence,
                payload,
            } => {
                // What somebody else has parked would be taken for received when it comes.
                let own = |id: ParkId| id.sender == self.endpoint;
                if !header.parked.is_none_or(own) {
                    return Err(Malformed::Parked.into());
                }
                self.asked |= matches!(header.correlation, Some(Correlation::Request(_)));
                let pending = Pending {
                    views,
                    header,
                    sequence,
                    payload,
                    attached: None,
                };
                self.complete(pending, buffer)
            }
            Frame::Forget(regions) => {
                for region in regions {
                    self.regions.remove(&region);
                }
                Ok(Pull::More)
            }
            Frame::Declare(type_id) => {
                self.types.declare(type_id)?;
                Ok(Pull::More)
            }
        }
    }

    /// Reads what the channel holds in front of the first lane, or some of it.
    pub(super) fn channel_news(&mut self) -> Result<(), PullError> {
        // So it is, too, when the channel cannot be read for want of something.
        self.unread = true;
        let search = self.search(|source| Ok(!source.lanes.is_empty()))?;
        self.unread = search == Search::Later;
        Ok(())
    }

    /// Lets go of regions that nobody holds any more: they can never be referred to again, unless they
    /// are in doubt and there are messages that are not read yet.
    pub(super) fn tidy_regions(&mut self) {
        self.loans.tidy();
        self.let_go_of_regions(Self::has_news);
    }

    fn let_go_of_regions(&mut self, has_unread: impl Fn(&Self) -> bool) {
        if !self.regions.is_empty() {
            let mut regions = std::mem::take(&mut self.regions);
            // In this order: what was not published before its hold was freed never will be.
            regions.retain(|_, block| {
                block.holders() > 0 || (block.is_in_doubt() && has_unread(self))
            });
            self.regions = regions;
            self.tidy_at = FEW_REGIONS.max(2 * self.regions.len());
        }
    }

    /// Receives no more. What is unread is for [`drain`](Self::drain).
    pub(super) fn close(&mut self) {
        // A lane that is closed comes to an end, whether its sender stops or not; the number of lanes
        // is bounded.
        self.closed = Some(packets::MOST_LANES);
        for lane in &mut self.lanes {
            lane.close();
        }
        self.ring_for_room();
    }

    /// Lets go at once of the objects that wait for their messages: no more than one message may have. Of many who
    /// are cut off one after the other they would add up.
    pub(super) fn drop_objects(&mut self) {
        self.packets.clear();
        self.objects.clear();
        self.waiting = 0;
    }

    /// Takes some of what is unread and drops it, so that its holds are given back; then what else there
    /// is. To be called when it is closed, as long as it returns `true`: until nothing is left.
    pub(super) fn drain(&mut self) -> bool {
        let mut buffer = Vec::new();
        for _ in 0..DRAINED {
            match self.pull(&mut buffer, u64::MAX) {
                Ok(Pull::Message(_)) => {}
                Ok(Pull::More) => return true,
                Ok(Pull::Nothing) | Err(_) => return self.dissolve(),
            }
        }
        true
    }

    /// Drops a part of what is not to be read any more.
    fn dissolve(&mut self) -> bool {
        self.stalled = None;
        self.unread = false;
        if self.lanes.pop_front().is_some() {
            return true;
        }
        let some: Vec<RegionId> = self.regions.keys().take(REGIONS).copied().collect();
        for region in &some {
            self.regions.remove(region);
        }
        !self.regions.is_empty()
    }

    /// Whether the sender has ever asked something.
    pub(super) fn has_ever_asked(&self) -> bool {
        self.asked
    }

    fn complete(&mut self, mut pending: Pending, buffer: &mut Vec<u8>) -> Result<Pull, PullError> {
        match self.attach_objects(&mut pending) {
            Ok(true) => {
                let attached = pending.attached.unwrap_or_default();
                let mut message = attached.assemble(
                    self.endpoint,
                    pending.header,
                    pending.payload,
                    &self.regions,
                );
                message.views = pending.views;
                Ok(Pull::Message(message))
            }
            Err(error @ PullError::Malformed(_)) => Err(error),
            unfinished => {
                let stalled = Stalled::Attached(Box::new(pending));
                self.stalled = Some((stalled, std::mem::take(buffer)));
                unfinished.map(|_| Pull::More)
            }
        }
    }

    /// Takes the objects of a message over, and opens its regions; `false`: not all of them yet.
    fn attach_objects(&mut self, pending: &mut Pending) -> Result<bool, PullError> {
        let beside = pending.header.objects_beside();
        if beside == 0 {
            return Ok(true);
        }
        // Each look at all of them is paid for by as many new ones.
        if self.regions.len() >= self.tidy_at {
            self.loans.tidy();
            // This message is not read yet.
            self.let_go_of_regions(|_| true);
        }
        if pending.attached.is_none() {
            let Some(objects) = self.collect(pending.sequence, beside)? else {
                return Ok(false);
            };
            pending.attached = Some(Attached::new(&pending.header, objects));
        }
        let Some(attached) = &mut pending.attached else {
            return Ok(true);
        };
        attached
            .open_regions(&pending.header, &mut self.regions, most_regions(), REGIONS)
            .map_err(PullError::Resources)
    }

    fn next_lane(&mut self) -> Result<Pull, PullError> {
        match self.search(|source| Ok(source.lanes.len() > 1))? {
            Search::Found => {}
            Search::Later => return Ok(Pull::More),
            // A sender offers the next lane before it retires one.
            Search::Nothing => {
                return Err(Malformed::BadLane("the next one is missing".into()).into());
            }
        }
        if let Some(lane) = self.lanes.pop_front() {
            self.dropped_before += lane.dropped();
        }
        Ok(Pull::More)
    }
}

/// So many regions of one sender are kept. Each has a descriptor as long as anybody holds it, and that is for the
/// sender to say.
fn most_regions() -> usize {
    FEWEST_REGIONS.max(descriptor_limit() / 4)
}

#[cfg(test)]
mod tests;

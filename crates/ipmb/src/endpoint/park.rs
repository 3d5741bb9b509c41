//! Messages that nobody matches yet.
//!
//! The controller keeps them, and so does their sender, until they are delivered or their time is
//! up: if the controller dies, the sender parks them with the next one. What was parked may turn
//! out to have a receiver after all; then the driver sends it.

use super::{Endpoint, Flushed, Status};
use crate::{
    Object, SendError,
    patience::Patience,
    peer::{Outbound, Peer, Progress},
    region::Flight,
};
use ipmb_core::{
    Body, Correlation, MAX_INLINE_BODY, ParkId, ParkUsage, Quotas, Selector, ToController,
};
use ipmb_sys::{OwnedObject, boot_time_ns, duplicate, publish_bytes};
use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a sender waits for what becomes of a parked message before it looks again whether it
/// is in its way at all: whoever it is for may have left, which the controller does not say.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The messages of this endpoint that are parked or being parked, by their number.
#[derive(Default)]
pub(crate) struct ParkTable {
    next: u64,
    pub(crate) entries: BTreeMap<u64, ParkedMessage>,
}

/// A message that waits for its receiver.
pub(crate) struct ParkedMessage {
    pub(crate) selector: Selector,
    /// In nanoseconds of the boot-time clock.
    pub(crate) deadline: u64,
    /// Header, number of the attachments, payload.
    pub(crate) body: Vec<u8>,
    /// Where the number of the attachments stands in the body.
    pub(crate) sequence_at: Option<usize>,
    /// The message's own, then those of its memory regions.
    pub(crate) objects: Vec<Object>,
    pub(crate) flights: Vec<Flight>,
    /// The number under which the inbox expects a reply.
    pub(crate) request: Option<u64>,
    pub(crate) state: ParkState,
    /// A controller has kept it, and may have given it to somebody.
    pub(crate) was_held: bool,
    /// The controller was told that its time is over.
    pub(crate) withdrawn: bool,
    /// How far the driver has come with sending it.
    pub(crate) sending: Option<Vec<(Arc<Peer>, Progress)>>,
}

impl ParkTable {
    /// The numbers of the messages of which something is true, in order.
    pub(crate) fn which(&self, mut is: impl FnMut(&ParkedMessage) -> bool) -> Vec<u64> {
        let found = self.entries.iter().filter(|(_, message)| is(message));
        found.map(|(&sequence, _)| sequence).collect()
    }
}

/// How far the parking of a message has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ParkState {
    /// The controller is asked to keep it, or will be.
    Asked,
    /// The controller keeps it.
    Held,
    /// There is a receiver; the driver sends it. Not to those who have joined after this place in
    /// the order: they may have later messages.
    Routable { last: u64 },
    /// The controller cannot keep it; whoever sent it will be told.
    Refused(String),
}

impl ParkState {
    /// Whether it may become a message for anybody, which no later one may overtake.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Asked)
    }

    /// Whether it is for those who match it, and nothing else that goes there may overtake it.
    fn is_reserved(&self) -> bool {
        matches!(self, Self::Held | Self::Routable { .. })
    }
}

impl ParkedMessage {
    /// Whether it is over a while after its ttl, if the controller says nothing; not if there is
    /// somebody to send it to.
    pub(crate) fn ends(&self, hopeless: bool) -> bool {
        self.waits() && (hopeless || !self.withdrawn)
    }

    /// Whether it waits for somebody whom it is for.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.state, ParkState::Asked | ParkState::Held)
    }

    /// What it costs the controller.
    pub(super) fn cost(&self) -> ParkUsage {
        let objects = self.objects.len() + usize::from(!self.is_inline());
        let body = self.body.len() as u64;
        ParkUsage::of(&self.selector.label_op, body, objects as u64)
    }

    fn is_inline(&self) -> bool {
        self.body.len() <= MAX_INLINE_BODY
    }

    /// What to ask of the controller, for the first time or again.
    pub(crate) fn request(
        &self,
        sequence: u64,
        again: bool,
    ) -> io::Result<(ToController, Vec<OwnedObject>)> {
        let mut objects = Vec::with_capacity(self.objects.len() + 1);
        let body = if self.is_inline() {
            Body::Inline(self.body.clone())
        } else {
            objects.push(publish_bytes(&[&self.body])?);
            let len = self.body.len() as u64;
            Body::Object { len }
        };
        for object in &self.objects {
            objects.push(duplicate(object)?);
        }
        let now = boot_time_ns();
        let left = self.deadline.saturating_sub(now);
        let selector = Selector {
            ttl: Duration::from_nanos(left),
            ..self.selector.clone()
        };
        let request = ToController::Park {
            sequence,
            selector,
            over: if again {
                now.saturating_sub(self.deadline)
            } else {
                0
            },
            body,
            objects: self.objects.len() as u32,
        };
        Ok((request, objects))
    }
}

impl Endpoint {
    /// Has a message kept until somebody matches. Returns when it is kept, or when patience is
    /// over: then this endpoint goes on keeping it.
    pub(crate) fn park(
        &self,
        selector: &Selector,
        outbound: &mut Outbound<'_>,
        patience: Patience,
    ) -> Result<(), SendError> {
        let mut link = self.link();
        let sequence = link.parked.next;
        outbound.parked = Some(ParkId {
            sender: self.id,
            sequence,
        });
        let message = prepare(selector, outbound).map_err(SendError::Attachment)?;
        let asked = message
            .request(sequence, false)
            .map_err(SendError::Resources);
        let (request, objects) = match asked.and_then(encode_request) {
            Ok(asked) => asked,
            Err(error) => {
                message.flights.into_iter().for_each(Flight::recall);
                return Err(error);
            }
        };
        link.parked.next += 1;
        link.parked.entries.insert(sequence, message);
        self.routing().parking += 1;
        let is_member = link.status == Status::Member;
        let asked = match link.pipe.as_mut() {
            Some(pipe) if is_member => matches!(pipe.send(&request, objects), Ok(Flushed::All)),
            // There is nobody to ask, and nobody who says when the ttl is over: the driver does.
            _ => false,
        };
        tracing::debug!(sequence, asked, "a message is parked");
        if !asked {
            self.wake();
        }
        loop {
            match link
                .parked
                .entries
                .get(&sequence)
                .map(|message| &message.state)
            {
                Some(ParkState::Asked | ParkState::Routable { .. }) => {}
                None | Some(ParkState::Held) => return Ok(()),
                Some(ParkState::Refused(why)) => {
                    let why = why.clone();
                    if let Some(message) = link.parked.entries.remove(&sequence) {
                        message.flights.into_iter().for_each(Flight::recall);
                    }
                    return Err(SendError::ParkRefused(why));
                }
            }
            if let Status::Lost(fate) = &link.status {
                return Err(crate::JoinError::from(fate.clone()).into());
            }
            if patience.is_over() {
                return Ok(());
            }
            link = patience.wait(self.link_changed(), link);
        }
    }

    /// Waits until no parked message of ours may be overtaken by what is sent this way now. `false`:
    /// patience is over. The directory may have changed meanwhile.
    pub(super) fn wait_for_parked(&self, route: &[Arc<Peer>], patience: Patience) -> bool {
        let mut link = self.link();
        while self.routing().is_reserved(route) {
            if patience.is_over() || matches!(link.status, Status::Lost(_)) {
                return false;
            }
            let soon = Instant::now() + LOOK_AGAIN;
            let at = patience.deadline().map_or(soon, |at| at.min(soon));
            link = Patience::Until(at).wait(self.link_changed(), link);
            if Instant::now() >= soon {
                return true;
            }
        }
        true
    }

    /// Ends the parking of a message one way or another. Called by the driver.
    pub(crate) fn settle_parked(
        &self,
        link: &mut super::Link,
        sequence: u64,
        state: Option<ParkState>,
    ) {
        let Some(message) = link.parked.entries.get_mut(&sequence) else {
            return;
        };
        let was_open = message.state.is_open();
        let is_open = state.as_ref().is_some_and(ParkState::is_open);
        let is_reserved = state.as_ref().is_some_and(ParkState::is_reserved);
        let reserved = is_reserved.then(|| message.selector.label_op.clone());
        message.was_held |= state == Some(ParkState::Held);
        match state {
            Some(state) => message.state = state,
            None => {
                link.parked.entries.remove(&sequence);
            }
        }
        let mut routing = self.routing();
        match reserved {
            Some(whom) => routing.hold(sequence, whom),
            None => routing.release(sequence),
        }
        if was_open != is_open {
            routing.parking = match is_open {
                true => routing.parking + 1,
                false => routing.parking.saturating_sub(1),
            };
        }
        self.link_changed().notify_all();
    }
}

/// A request that is more than a controller reads would cost us the connection, again and again.
fn encode_request(
    (request, objects): (ToController, Vec<OwnedObject>),
) -> Result<(Vec<u8>, Vec<OwnedObject>), SendError> {
    let (request, quotas) = (request.encode(), Quotas::default());
    if request.len() > quotas.message_bytes || objects.len() > quotas.message_objects {
        return Err(SendError::ParkRefused(format!(
            "with its selector it has {} bytes and {} objects, those of regions included, and the most is {} and {}",
            request.len(),
            objects.len(),
            quotas.message_bytes,
            quotas.message_objects,
        )));
    }
    Ok((request, objects))
}

/// Makes a copy that outlives the call of `send`: holds of its regions, duplicates of its objects.
fn prepare(selector: &Selector, outbound: &Outbound<'_>) -> io::Result<ParkedMessage> {
    let mut progress = Progress::default();
    progress.prepare(outbound, 0, |_| false)?;
    let mut objects = Vec::new();
    for object in outbound.objects {
        objects.push(object.clone()?);
    }
    for flight in &progress.flights {
        // Controllers come and go, and the message with them: there may be a copy of it that nobody
        // knows of, and only one of them has the hold.
        flight.block().put_in_doubt();
        objects.push(flight.block().object().clone()?);
    }
    let mut body = progress.own.take().unwrap_or_default();
    let sequence_at = outbound
        .has_attachments()
        .then(|| body.len() - size_of::<u64>());
    body.try_reserve_exact(outbound.size)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    for piece in outbound.payload() {
        body.extend_from_slice(piece);
    }
    let ttl = u64::try_from(selector.ttl.as_nanos()).unwrap_or(u64::MAX);
    Ok(ParkedMessage {
        selector: selector.clone(),
        deadline: boot_time_ns().saturating_add(ttl),
        body,
        sequence_at,
        objects,
        flights: std::mem::take(&mut progress.flights),
        request: outbound.correlation.map(Correlation::number),
        state: ParkState::Asked,
        was_held: false,
        withdrawn: false,
        sending: None,
    })
}

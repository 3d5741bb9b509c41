//! Messages that wait for somebody: what is kept, for how long, and at whose expense.

mod delivered;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use delivered::Delivered;

use crate::{Body, ConnId, EndpointId, Label, LabelOp, ParkId, ParkRefusal, Quotas};

/// A message that waits. Its objects, if any, are with the shell.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) id: ParkId,
    pub(crate) label_op: LabelOp,
    pub(crate) body: Body,
    pub(crate) objects: u32,
    /// The user whose endpoint parked it.
    pub(crate) uid: u32,
    /// When its ttl ends.
    pub(crate) deadline: u64,
    /// It is for nobody any more, but somebody may have it.
    pub(crate) expired: bool,
    /// The member it was sent to, which has not said yet that it arrived.
    pub(crate) on_the_way: Option<ConnId>,
}

/// All messages that wait: each sender's in the order it sent them.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    messages: BTreeMap<ParkId, (Parked, Usage)>,
    deadlines: BTreeSet<(u64, ParkId)>,
    usage: BTreeMap<EndpointId, Usage>,
    users: BTreeMap<u32, Usage>,
    total: Usage,
}

/// What parked messages cost the controller.
#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    bytes: u64,
    messages: u64,
    objects: u64,
    operands: u64,
}

impl Parking {
    /// Keeps a message whose id is not there yet, if the quotas allow it.
    pub(crate) fn insert(&mut self, parked: Parked, quotas: &Quotas) -> Result<(), ParkRefusal> {
        let cost = Usage::of(&parked);
        let mut usage = self.usage_of(parked.id.sender);
        usage.add(cost);
        usage.check(quotas)?;
        let mut total = self.total;
        total.add(cost);
        if !total.is_within(quotas, 1) {
            return Err(ParkRefusal::BusFull);
        }
        let mut of_user = self.users.get(&parked.uid).copied().unwrap_or_default();
        of_user.add(cost);
        if !of_user.is_within(quotas, quotas.share_per_user) {
            return Err(ParkRefusal::UserFull);
        }
        self.total = total;
        self.usage.insert(parked.id.sender, usage);
        self.users.insert(parked.uid, of_user);
        self.deadlines.insert((parked.deadline, parked.id));
        self.messages.insert(parked.id, (parked, cost));
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: ParkId) -> Option<Parked> {
        let (parked, cost) = self.messages.remove(&id)?;
        self.deadlines.remove(&(parked.deadline, id));
        self.total.subtract(cost);
        let mut usage = self.usage_of(id.sender);
        usage.subtract(cost);
        if usage.messages == 0 {
            self.usage.remove(&id.sender);
        } else {
            self.usage.insert(id.sender, usage);
        }
        if let Some(of_user) = self.users.get_mut(&parked.uid) {
            of_user.subtract(cost);
            if of_user.messages == 0 {
                self.users.remove(&parked.uid);
            }
        }
        Some(parked)
    }

    pub(crate) fn get(&self, id: ParkId) -> Option<&Parked> {
        let (parked, _) = self.messages.get(&id)?;
        Some(parked)
    }

    pub(crate) fn get_mut(&mut self, id: ParkId) -> Option<&mut Parked> {
        let (parked, _) = self.messages.get_mut(&id)?;
        Some(parked)
    }

    /// The ttl of a message is over, and it stays.
    pub(crate) fn expire(&mut self, id: ParkId) {
        if let Some((parked, _)) = self.messages.get_mut(&id) {
            self.deadlines.remove(&(parked.deadline, id));
            parked.expired = true;
        }
    }

    /// The messages for somebody of that label, each sender's in order.
    pub(crate) fn matching(&self, label: &Label) -> Vec<ParkId> {
        self.messages
            .values()
            .map(|(parked, _)| parked)
            .filter(|parked| parked.on_the_way.is_none() && parked.label_op.validate(label))
            .map(|parked| parked.id)
            .collect()
    }

    /// The messages that were sent to that connection and have not arrived, each sender's in order.
    pub(crate) fn on_the_way_to(&self, conn: ConnId) -> Vec<ParkId> {
        self.messages
            .values()
            .map(|(parked, _)| parked)
            .filter(|parked| parked.on_the_way == Some(conn))
            .map(|parked| parked.id)
            .collect()
    }

    /// The messages whose ttl is over, in the order it ended.
    pub(crate) fn due(&self, now: u64) -> Vec<ParkId> {
        self.deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .map(|(_, id)| *id)
            .collect()
    }

    /// When the next ttl ends.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn usage_of(&self, sender: EndpointId) -> Usage {
        self.usage.get(&sender).copied().unwrap_or_default()
    }
}

impl Parked {
    /// How many objects the shell keeps for it.
    pub(crate) fn stored_objects(&self) -> u64 {
        let body = matches!(self.body, Body::Object { .. });
        u64::from(self.objects) + u64::from(body)
    }
}

impl Usage {
    /// What an operator or operand takes in memory, and what a message takes besides its parts; no
    /// need to be exact.
    const NODE: u64 = 64;
    const MESSAGE: u64 = 512;

    fn of(parked: &Parked) -> Self {
        let operands = parked.label_op.node_count() as u64;
        let words = parked.label_op.size_in_bytes() as u64;
        Self {
            bytes: parked
                .body
                .len()
                .saturating_add(words)
                .saturating_add(operands.saturating_mul(Self::NODE))
                .saturating_add(Self::MESSAGE),
            messages: 1,
            objects: parked.stored_objects(),
            operands,
        }
    }

    fn add(&mut self, cost: Self) {
        self.bytes = self.bytes.saturating_add(cost.bytes);
        self.messages += cost.messages;
        self.objects = self.objects.saturating_add(cost.objects);
        self.operands = self.operands.saturating_add(cost.operands);
    }

    fn subtract(&mut self, cost: Self) {
        self.bytes = self.bytes.saturating_sub(cost.bytes);
        self.messages = self.messages.saturating_sub(cost.messages);
        self.objects = self.objects.saturating_sub(cost.objects);
        self.operands = self.operands.saturating_sub(cost.operands);
    }

    /// Whether it is no more than one part in `parts` of what the whole bus may have.
    fn is_within(&self, quotas: &Quotas, parts: u64) -> bool {
        let part = |of: u64| of / parts.max(1);
        self.bytes <= part(quotas.parked_bytes)
            && self.objects <= part(quotas.parked_objects)
            && self.operands <= part(quotas.parked_operands)
    }

    fn check(&self, quotas: &Quotas) -> Result<(), ParkRefusal> {
        if self.bytes > quotas.parked_bytes_per_endpoint {
            let limit = quotas.parked_bytes_per_endpoint;
            return Err(ParkRefusal::Bytes { limit });
        }
        if self.messages > quotas.parked_messages_per_endpoint {
            let limit = quotas.parked_messages_per_endpoint;
            return Err(ParkRefusal::Messages { limit });
        }
        if self.objects > quotas.parked_objects_per_endpoint {
            let limit = quotas.parked_objects_per_endpoint;
            return Err(ParkRefusal::Objects { limit });
        }
        Ok(())
    }
}

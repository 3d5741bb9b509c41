//! Messages that wait for somebody: what is kept, for how long, and at whose expense.

mod delivered;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use delivered::Delivered;

use crate::{
    Body, ConnId, EndpointId, Label, LabelOp, ParkId, ParkRefusal, Parkable, Quota, Quotas, Whose,
};

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
    /// The ttl is over, and it is not known yet whether somebody who had joined by then has it.
    pub(crate) expired: bool,
    /// The member it was sent to, which has not said yet that it arrived.
    pub(crate) on_the_way: Option<ConnId>,
}

/// All messages that wait: each sender's in the order it sent them.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    messages: BTreeMap<ParkId, (Parked, ParkUsage)>,
    deadlines: BTreeSet<(u64, ParkId)>,
    /// Those that are on the way to a member.
    under_way: BTreeSet<ParkId>,
    usage: BTreeMap<EndpointId, ParkUsage>,
    users: BTreeMap<u32, ParkUsage>,
    total: ParkUsage,
}

/// What parked messages cost the controller.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ParkUsage {
    /// Bodies, selectors and bookkeeping, in bytes.
    pub bytes: u64,
    /// How many there are.
    pub messages: u64,
    /// How many objects they have, those that hold bodies included.
    pub objects: u64,
    /// Operators and operands of their selectors.
    pub operands: u64,
}

impl Parking {
    /// Keeps a message whose id is not there yet, if the quotas allow it.
    pub(crate) fn insert(&mut self, parked: Parked, quotas: &Quotas) -> Result<(), ParkRefusal> {
        let cost = parked.cost();
        let mut usage = self.usage_of(parked.id.sender);
        usage.take(cost, &quotas.parked_by(Whose::Endpoint), Whose::Endpoint)?;
        let mut total = self.total;
        total.take(cost, &quotas.parked_by(Whose::Bus), Whose::Bus)?;
        let mut of_user = self.usage_of_user(parked.uid);
        of_user.take(cost, &quotas.parked_by(Whose::User), Whose::User)?;
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
        self.under_way.remove(&id);
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

    /// A message is sent to a member, and stays until it has arrived.
    pub(crate) fn send_to(&mut self, id: ParkId, conn: ConnId) -> Option<&Parked> {
        let (parked, _) = self.messages.get_mut(&id)?;
        parked.on_the_way = Some(conn);
        self.under_way.insert(id);
        Some(parked)
    }

    /// It will not arrive there, and waits again.
    pub(crate) fn take_back(&mut self, id: ParkId) {
        self.under_way.remove(&id);
        if let Some((parked, _)) = self.messages.get_mut(&id) {
            parked.on_the_way = None;
        }
    }

    /// All that are on the way, each sender's in order.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = ParkId> {
        self.under_way.iter().copied()
    }

    /// Whether a message of that sender is on the way.
    pub(crate) fn has_under_way(&self, sender: EndpointId) -> bool {
        self.under_way
            .range(ParkId::all_of(sender))
            .next()
            .is_some()
    }

    /// The ttl of a message ends no later than that.
    pub(crate) fn hurry(&mut self, id: ParkId, deadline: u64) {
        if let Some((parked, _)) = self.messages.get_mut(&id)
            && deadline < parked.deadline
        {
            self.deadlines.remove(&(parked.deadline, id));
            self.deadlines.insert((deadline, id));
            parked.deadline = deadline;
        }
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
        let is_to = |id: &ParkId| self.get(*id).is_some_and(|it| it.on_the_way == Some(conn));
        self.under_way().filter(is_to).collect()
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

    /// What is parked on the whole bus.
    pub(crate) fn total(&self) -> ParkUsage {
        self.total
    }

    /// What the endpoints of a user have parked.
    pub(crate) fn usage_of_user(&self, uid: u32) -> ParkUsage {
        self.users.get(&uid).copied().unwrap_or_default()
    }

    fn usage_of(&self, sender: EndpointId) -> ParkUsage {
        self.usage.get(&sender).copied().unwrap_or_default()
    }
}

impl Parked {
    /// For whom it is: for those whose place in the join order, which is the time at which they joined, is not above
    /// this.
    pub(crate) fn last(&self) -> u64 {
        match self.expired {
            true => self.deadline,
            false => u64::MAX,
        }
    }

    /// How many objects the shell keeps for it.
    pub(crate) fn stored_objects(&self) -> u64 {
        let body = matches!(self.body, Body::Object { .. });
        u64::from(self.objects) + u64::from(body)
    }

    fn cost(&self) -> ParkUsage {
        ParkUsage::of(&self.label_op, self.body.len(), self.stored_objects())
    }
}

impl Quotas {
    /// The most that somebody may have parked.
    pub fn parked_by(&self, whose: Whose) -> ParkUsage {
        let share = self.share_per_user.max(1);
        match whose {
            Whose::Endpoint => ParkUsage {
                bytes: self.parked_bytes_per_endpoint,
                messages: self.parked_messages_per_endpoint,
                objects: self.parked_objects_per_endpoint,
                operands: u64::MAX,
            },
            Whose::User => ParkUsage {
                bytes: self.parked_bytes / share,
                messages: u64::MAX,
                objects: self.parked_objects / share,
                operands: self.parked_operands / share,
            },
            Whose::Bus => ParkUsage {
                bytes: self.parked_bytes,
                messages: u64::MAX,
                objects: self.parked_objects,
                operands: self.parked_operands,
            },
        }
    }
}

impl ParkUsage {
    /// What an operator or operand takes in memory, and what a message takes besides its parts; no
    /// need to be exact.
    const NODE: u64 = 64;
    const MESSAGE: u64 = 512;

    /// What one message costs: its selector's, the length of its body, and its objects, that of the body
    /// included.
    pub fn of(label_op: &LabelOp, body: u64, objects: u64) -> Self {
        let operands = label_op.node_count() as u64;
        let words = label_op.size_in_bytes() as u64;
        Self {
            bytes: body
                .saturating_add(words)
                .saturating_add(operands.saturating_mul(Self::NODE))
                .saturating_add(Self::MESSAGE),
            messages: 1,
            objects,
            operands,
        }
    }

    /// The two together.
    #[must_use]
    pub fn with(self, cost: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(cost.bytes),
            messages: self.messages.saturating_add(cost.messages),
            objects: self.objects.saturating_add(cost.objects),
            operands: self.operands.saturating_add(cost.operands),
        }
    }

    /// How much of what there can be of something it is.
    pub(crate) fn quota(&self, what: Parkable, limits: &Self) -> Quota {
        Quota::new(self.get(what), limits.get(what))
    }

    fn get(&self, what: Parkable) -> u64 {
        match what {
            Parkable::Bytes => self.bytes,
            Parkable::Messages => self.messages,
            Parkable::Objects => self.objects,
            Parkable::Operands => self.operands,
        }
    }

    /// Adds a cost, unless something were over its limit.
    fn take(&mut self, cost: Self, limits: &Self, whose: Whose) -> Result<(), ParkRefusal> {
        use Parkable::{Bytes, Messages, Objects, Operands};
        for what in [Bytes, Messages, Objects, Operands] {
            let (quota, wanted) = (self.quota(what, limits), cost.get(what));
            if wanted > quota.left() {
                return Err(ParkRefusal::Full {
                    whose,
                    what,
                    quota,
                    wanted,
                });
            }
        }
        *self = self.with(cost);
        Ok(())
    }

    fn subtract(&mut self, cost: Self) {
        self.bytes = self.bytes.saturating_sub(cost.bytes);
        self.messages = self.messages.saturating_sub(cost.messages);
        self.objects = self.objects.saturating_sub(cost.objects);
        self.operands = self.operands.saturating_sub(cost.operands);
    }
}

//! From a selector to peers.

use super::spread::Scratch;
use crate::{memory::Shared, peer::Peer};
use ipmb_core::{Directory, EndpointId, LabelOp, Member, Record, Selector, SelectorMode};
use ipmb_lane::{LogRead, LogReader, Word};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// So many selectors are remembered.
const ROUTES: usize = 1024;
/// Larger expressions are worked out each time: comparing them takes as long.
const LARGE: usize = 64;

/// The peers that a selector means.
pub(crate) type Route = SmallVec<[Arc<Peer>; 2]>;

/// Who is on the bus, as the sender sees it.
#[derive(Default)]
pub(crate) struct Routing {
    bearings: Option<Bearings>,
    directory: Directory,
    peers: HashMap<EndpointId, Arc<Peer>>,
    /// Peers that turned out to be gone before the directory says so.
    gone: HashSet<EndpointId>,
    /// Peers that the controller has given up, but not we: they are stopped, not gone.
    kept: HashSet<EndpointId>,
    /// The selector that was used last, and its targets, of which there were some.
    last: Option<(LabelOp, SelectorMode, Route)>,
    /// Who was replied to last.
    asker: Option<Arc<Peer>>,
    scratch: Scratch,
    unicast: HashMap<LabelOp, Route>,
    multicast: HashMap<LabelOp, Route>,
    /// A beacon that was raised without a new controller coming: a hostile member did it.
    false_beacon: u64,
    /// Messages of ours whose parking is under way. Nothing may overtake them.
    pub(crate) parking: usize,
    /// What the controller keeps of ours, and what the driver is to send of what it kept, by number: whom it is for.
    held: BTreeMap<u64, LabelOp>,
    /// Those for whom there is something of that: they have joined, and may not have it yet. Nothing that is
    /// sent there may overtake it.
    reserved: HashSet<EndpointId>,
}

/// Where the directory of a generation is.
pub(crate) struct Bearings {
    pub(crate) generation: u64,
    pub(crate) log: LogReader<Shared>,
    /// Above the generation when the directory is out of date because another controller serves.
    pub(crate) beacon: Word<Shared>,
}

#[cfg(test)]
impl Bearings {
    /// An empty directory.
    pub(crate) fn for_tests(generation: u64) -> Self {
        use ipmb_lane::LogWriter;
        use ipmb_sys::{Purpose, create_memory, page_size};
        let memory = |pages: usize| {
            let (_, mapping) = create_memory(Purpose::Shared, pages * page_size(), false).unwrap();
            Shared::new(mapping)
        };
        let (log, beacon) = (memory(4), Word::new(memory(1), 0).unwrap());
        LogWriter::create(log.clone(), generation).unwrap();
        beacon.store(generation);
        Self {
            generation,
            log: LogReader::attach(log).unwrap(),
            beacon,
        }
    }
}

impl Routing {
    /// A new controller has welcomed us. Returns the peers that have left.
    pub(crate) fn install(&mut self, bearings: Bearings) -> Vec<Arc<Peer>> {
        self.false_beacon = 0;
        self.bearings = Some(bearings);
        if self.peers.is_empty() && self.directory.is_empty() {
            // It is read when it is needed. An endpoint that only waits never needs it, and on a
            // large bus it is what an endpoint has most of.
            return Vec::new();
        }
        self.read()
    }

    /// Whether what we know is up to date, and nothing of ours is in the way: three loads.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.parking == 0
            && self.reserved.is_empty()
            && (self.bearings.as_ref()).is_some_and(|bearings| !bearings.log.changed())
            && !self.is_stale()
    }

    /// Looks whether somebody came or went. Returns the peers that have left.
    pub(crate) fn refresh(&mut self) -> Vec<Arc<Peer>> {
        match &self.bearings {
            Some(bearings) if bearings.log.changed() => self.read(),
            _ => Vec::new(),
        }
    }

    /// Whether another controller has taken over that we have not registered with yet.
    #[inline]
    pub(crate) fn is_stale(&self) -> bool {
        self.bearings.as_ref().is_none_or(|bearings| {
            let beacon = bearings.beacon.load();
            beacon > bearings.generation && beacon != self.false_beacon
        })
    }

    /// The same, whether the beacon is believed or not.
    fn may_be_stale(&self) -> bool {
        let bearings = self.bearings.as_ref();
        bearings.is_none_or(|it| it.beacon.load() > it.generation)
    }

    /// Whether this controller's beacon has been raised for nothing before.
    pub(crate) fn was_lied_to(&self) -> bool {
        self.false_beacon != 0
    }

    /// Nobody has come although the beacon was raised: believes it no more.
    pub(crate) fn distrust_beacon(&mut self) {
        if let Some(bearings) = &self.bearings {
            self.false_beacon = bearings.beacon.load();
        }
    }

    /// The controller keeps a message of ours, or the driver is to send it.
    pub(super) fn hold(&mut self, sequence: u64, whom: LabelOp) {
        self.held.insert(sequence, whom);
        self.reserve();
    }

    /// Not any more.
    pub(super) fn release(&mut self, sequence: u64) {
        if self.held.remove(&sequence).is_some() {
            self.reserve();
        }
    }

    /// Whether something of ours has to be there before anything else that goes this way.
    pub(super) fn is_reserved(&self, route: &[Arc<Peer>]) -> bool {
        self.parking > 0 || route.iter().any(|peer| self.reserved.contains(&peer.id))
    }

    /// Whether an expression means one of these.
    pub(crate) fn means(&self, whom: &LabelOp, route: &[Arc<Peer>]) -> bool {
        let found = self.directory.matching(whom, SelectorMode::Multicast);
        route.iter().any(|peer| found.contains(&peer.id))
    }

    fn reserve(&mut self) {
        let matching = |whom| self.directory.matching(whom, SelectorMode::Multicast);
        self.reserved = self.held.values().flat_map(matching).collect();
    }

    /// The peers that a selector means, in the order in which they joined.
    pub(crate) fn route(&mut self, selector: &Selector) -> Route {
        if let Some(route) = self.routes(selector.mode).get(&selector.label_op) {
            return route.clone();
        }
        let route = self.work_out(selector);
        if selector.label_op.node_count() <= LARGE {
            let routes = self.routes(selector.mode);
            if routes.len() >= ROUTES {
                routes.clear();
            }
            routes.insert(selector.label_op.clone(), route.clone());
        }
        route
    }

    /// Those of them who have joined no later than this place in the order.
    pub(crate) fn route_until(&mut self, selector: &Selector, last: u64) -> Route {
        let mut route = self.route(selector);
        let order = |peer: &Arc<Peer>| self.directory.get(peer.id).map(|member| member.order);
        route.retain(|peer| order(peer).is_some_and(|order| order <= last));
        route
    }

    /// The peers that a selector means, if they are known and there are any.
    #[inline]
    pub(crate) fn targets(&mut self, selector: &Selector) -> Option<(&[Arc<Peer>], &mut Scratch)> {
        let is_last = |(label_op, mode, _): &(LabelOp, SelectorMode, Route)| {
            *mode == selector.mode && *label_op == selector.label_op
        };
        if !self.last.as_ref().is_some_and(is_last) {
            self.look_up(selector)?;
        }
        let (_, _, route) = self.last.as_ref()?;
        Some((route, &mut self.scratch))
    }

    #[cold]
    fn look_up(&mut self, selector: &Selector) -> Option<()> {
        let route = self.routes(selector.mode).get(&selector.label_op)?;
        if route.is_empty() {
            return None;
        }
        let route = route.clone();
        self.last = Some((selector.label_op.clone(), selector.mode, route));
        Some(())
    }

    /// Somebody who has asked us something, if we have written to it before.
    #[inline]
    pub(crate) fn asker(&mut self, id: EndpointId) -> Option<(&[Arc<Peer>], &mut Scratch)> {
        if self.asker.as_ref().is_none_or(|asker| asker.id != id) {
            self.asker = self.peers.get(&id).cloned();
        }
        let peer = std::slice::from_ref(self.asker.as_ref()?);
        Some((peer, &mut self.scratch))
    }

    /// Somebody who has asked us something, if it is still there.
    pub(crate) fn route_to_asker(&mut self, id: EndpointId) -> Route {
        let peer = match self.gone.contains(&id) || self.is_deaf(id) {
            true => None,
            false => self.peer(id).or_else(|| self.known(id)),
        };
        peer.into_iter().collect()
    }

    /// Whether it is on the bus and receives no more.
    pub(crate) fn is_deaf(&self, id: EndpointId) -> bool {
        self.directory
            .get(id)
            .is_some_and(|member| !member.receiving)
    }

    /// The directory, unless it may be out of date: others may know a later one.
    pub(crate) fn known_directory(&mut self) -> Option<Directory> {
        (!self.may_be_stale()).then(|| self.directory.clone())
    }

    /// The directory, as far as it was read.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// All peers that we have met, and their processes, as far as they are known.
    pub(super) fn peers_and_pids(&self) -> Vec<(Arc<Peer>, u32)> {
        let pid = |id| self.directory.get(id).map_or(0, |member| member.pid);
        let peers = self.peers.iter();
        peers
            .map(|(id, peer)| (Arc::clone(peer), pid(*id)))
            .collect()
    }

    /// A peer, if it is on the bus.
    pub(crate) fn peer(&mut self, id: EndpointId) -> Option<Arc<Peer>> {
        let member = self.directory.get(id)?;
        let peer = self.peers.entry(id);
        Some(Arc::clone(
            peer.or_insert_with(|| Arc::new(Peer::new(id, member.limits))),
        ))
    }

    /// A peer that we have met, even if the directory does not show it at the moment.
    pub(crate) fn known(&self, id: EndpointId) -> Option<Arc<Peer>> {
        self.peers.get(&id).cloned()
    }

    /// Does not choose this one any more.
    pub(crate) fn avoid(&mut self, id: EndpointId) {
        if self.kept.remove(&id) {
            self.directory.apply(Record::Leave(id));
        }
        if self.directory.get(id).is_some() {
            self.gone.insert(id);
        } else {
            self.peers.remove(&id);
        }
        self.forget_routes();
    }

    fn work_out(&mut self, selector: &Selector) -> Route {
        // All of them first: the one that a unicast would choose may be gone.
        let mode = if self.gone.is_empty() {
            selector.mode
        } else {
            SelectorMode::Multicast
        };
        let matching = self.directory.matching(&selector.label_op, mode);
        let mut route: Route = matching
            .into_iter()
            .filter_map(|id| {
                if self.gone.contains(&id) {
                    None
                } else {
                    self.peer(id)
                }
            })
            .collect();
        if selector.mode == SelectorMode::Unicast {
            route.truncate(1);
        }
        route
    }

    fn read(&mut self) -> Vec<Arc<Peer>> {
        let Some(bearings) = &mut self.bearings else {
            return Vec::new();
        };
        let mut records = Vec::new();
        let read = match bearings.log.read(&mut records) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "the directory cannot be read");
                return Vec::new();
            }
        };
        let records = Record::decode_all(&records);
        match read {
            LogRead::Unchanged => return Vec::new(),
            LogRead::Snapshot => self.start_over(records),
            _ => records.for_each(|record| self.note(record)),
        }
        self.forget_routes();
        self.reserve();
        let directory = &self.directory;
        self.gone.retain(|id| directory.get(*id).is_some());
        // A controller that did not know us may not know all the others yet, either: who still
        // has its end of the channel has not left.
        let left: Vec<EndpointId> = (self.peers.iter())
            .filter(|(id, peer)| match directory.get(**id) {
                // Who receives no more is as good as gone, for those who send.
                Some(member) => !member.receiving,
                None => !peer.is_connected(),
            })
            .map(|(id, _)| *id)
            .collect();
        left.iter().filter_map(|id| self.peers.remove(id)).collect()
    }

    fn start_over(&mut self, records: impl Iterator<Item = Record>) {
        let before = std::mem::take(&mut self.directory);
        self.directory.apply_snapshot(records);
        for id in std::mem::take(&mut self.kept) {
            if let Some(member) = before.get(id)
                && self.directory.get(id).is_none()
                && self.still_receives(id)
            {
                self.kept.insert(id);
                self.directory.apply(Record::Join(member.clone()));
            }
        }
    }

    /// What is in their lanes already they will receive, and so what follows: were that parked instead, it could
    /// come before it, and for others it would be lost.
    fn note(&mut self, record: Record) {
        match &record {
            Record::GivenUp(id) if self.still_receives(*id) => {
                self.kept.insert(*id);
                return;
            }
            Record::Join(Member { id, .. }) | Record::Leave(id) => drop(self.kept.remove(id)),
            _ => {}
        }
        self.directory.apply(record);
    }

    fn still_receives(&self, id: EndpointId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.receives())
    }

    fn routes(&mut self, mode: SelectorMode) -> &mut HashMap<LabelOp, Route> {
        match mode {
            SelectorMode::Unicast => &mut self.unicast,
            SelectorMode::Multicast => &mut self.multicast,
        }
    }

    fn forget_routes(&mut self) {
        self.last = None;
        self.asker = None;
        self.unicast.clear();
        self.multicast.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipmb_core::{Label, Member, Overflow, ReceiveLimits};

    fn routing(members: &[(u64, &str)]) -> Routing {
        let mut routing = Routing::default();
        for (id, label) in members {
            let limits = ReceiveLimits {
                message: 1,
                budget: 1,
                overflow: Overflow::Block,
            };
            routing.directory.apply(Record::Join(Member {
                id: EndpointId(*id),
                order: *id,
                pid: 1,
                uid: 1,
                label: Label::from([label]),
                receiving: true,
                limits,
            }));
        }
        routing
    }

    #[test]
    fn a_directory_may_be_out_of_date_though_the_beacon_is_not_believed() {
        let mut routing = routing(&[(1, "a")]);
        routing.install(Bearings::for_tests(1));
        assert!(routing.known_directory().is_some());
        routing.bearings.as_ref().unwrap().beacon.raise(2);
        assert!(routing.is_stale());
        routing.distrust_beacon();
        assert!(!routing.is_stale());
        // Who takes over does not take it for the newest one.
        assert!(routing.known_directory().is_none());
    }

    #[test]
    fn nothing_overtakes_what_the_controller_keeps_for_somebody_who_has_joined() {
        let mut routing = routing(&[(1, "late"), (2, "other")]);
        let routes = ["late", "other"].map(|word| routing.route(&Selector::unicast(word)));
        let reserved = |routing: &Routing| routes.each_ref().map(|it| routing.is_reserved(it));
        assert_eq!(reserved(&routing), [false, false]);
        routing.hold(7, LabelOp::from("late"));
        assert_eq!(reserved(&routing), [true, false]);
        assert!(!routing.is_current());
        routing.release(7);
        assert_eq!(reserved(&routing), [false, false]);
    }

    #[test]
    fn what_was_parked_is_not_for_those_who_joined_after_it_was_decided_who_gets_it() {
        let mut routing = routing(&[(1, "late"), (2, "late"), (3, "late")]);
        let everybody = Selector::multicast("late");
        let ids = |route: Route| route.iter().map(|peer| peer.id.0).collect::<Vec<_>>();
        assert_eq!(ids(routing.route_until(&everybody, 2)), [1, 2]);
        assert_eq!(ids(routing.route_until(&everybody, 0)), []);
        assert_eq!(ids(routing.route(&everybody)), [1, 2, 3]);
    }
}

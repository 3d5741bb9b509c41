//! Sending a message to those whom its selector means.

use super::{Endpoint, Routing, Status, routing::Route, spread::Scratch};
use crate::{
    Message, MessageBox, SendError, TrySendError,
    message::Address,
    patience::Patience,
    peer::{Attempt, Contact, Outbound, Peer, Progress},
};
use ipmb_core::{Correlation, EndpointId, Selector, SelectorMode};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a sender waits for a new controller that the beacon announces before it believes the
/// beacon no more, if nobody is there who could be it.
const BEACON_PATIENCE: Duration = Duration::from_secs(1);
/// The same while the controller that it knows is alive, as far as its connection shows: a process that was
/// killed frees the seat some time before its last connection is closed, if the machine is busy.
const LIE_PATIENCE: Duration = Duration::from_millis(80);

/// What came of sending a message the short way. Small, so that it is returned in a register.
#[derive(Clone, Copy)]
pub(crate) enum AtOnce {
    Sent,
    /// Nothing happened. [Wait](Endpoint::await_room) a moment.
    Full,
    /// Nothing happened. Take the long way, which also tells what is wrong, if anything is.
    Not,
}

/// Whom a message is for.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Selector(&'a Selector),
    /// Who has asked for it.
    Asker(EndpointId),
}

/// What came of sending to several.
pub(crate) struct Outcome {
    pub(crate) delivered: usize,
    pub(crate) failure: Option<SendError>,
    /// Those who have to get a copy of what is lent.
    copies: Route,
}

impl Endpoint {
    /// The way of nearly all messages: receivers that are known and have room.
    #[inline]
    pub(crate) fn send_at_once<T: MessageBox>(&self, message: &Message<T>) -> AtOnce {
        if self.is_forked() {
            return AtOnce::Not;
        }
        match &message.address {
            Address::Asker(to) => self.at_once(
                message,
                |routing| routing.asker(to.endpoint),
                |_| Some(Some(Correlation::Reply(to.number))),
            ),
            _ => self.at_once(
                message,
                |routing| routing.targets(message.selector()),
                |_| Some(None),
            ),
        }
    }

    /// The same for a request, under a number that there is as soon as it is known who is asked; if there is
    /// none, nothing is sent.
    #[inline]
    pub(crate) fn ask_at_once<T: MessageBox>(
        &self,
        message: &Message<T>,
        number: impl FnOnce(EndpointId) -> Option<u64>,
    ) -> AtOnce {
        self.at_once(
            message,
            |routing| routing.targets(message.selector()),
            |peer| Some(Some(Correlation::Request(number(peer.id)?))),
        )
    }

    #[inline]
    fn at_once<T: MessageBox>(
        &self,
        message: &Message<T>,
        find: impl FnOnce(&mut Routing) -> Option<(&[Arc<Peer>], &mut Scratch)>,
        correlate: impl FnOnce(&Peer) -> Option<Option<Correlation>>,
    ) -> AtOnce {
        let attached = !message.objects.is_empty() || !message.memory_regions.is_empty();
        self.with_routing(|routing| {
            if !routing.is_current() {
                return AtOnce::Not;
            }
            let peer = match find(routing) {
                Some(([peer], _)) => peer,
                Some((peers, scratch)) if !attached => return self.spread(message, peers, scratch),
                _ => return AtOnce::Not,
            };
            let (limit, room) = (self.options.message_limit, self.room.doorbell());
            let pool = self.loans.get();
            let sent = peer.try_with_contact(|contact| match (contact, correlate(peer)) {
                (Contact::Line(line), Some(None)) if attached => {
                    line.send_attached(message, limit, pool)
                }
                (Contact::Line(line), Some(correlation)) if !attached => {
                    line.send_direct(&message.payload, correlation, limit, pool, room)
                }
                _ => AtOnce::Not,
            });
            sent.unwrap_or(AtOnce::Not)
        })
    }

    /// Sends a message that [did not go at once](Self::send_at_once), waiting as long as `patience`
    /// allows.
    pub(crate) fn send_patiently<T: MessageBox>(
        &self,
        message: Message<T>,
        patience: Patience,
    ) -> Result<(), TrySendError<T>> {
        if self.is_forked() {
            return Err(failure(message, SendError::Forked, 0));
        }
        match self.deliver(&message, patience) {
            Ok(()) => Ok(()),
            Err((reason, delivered)) => Err(failure(message, reason, delivered)),
        }
    }

    /// The same for a message that need not be given back.
    pub(crate) fn send_ref_patiently<T: MessageBox>(
        &self,
        message: &Message<T>,
        patience: Patience,
    ) -> Result<(), SendError> {
        if self.is_forked() {
            return Err(SendError::Forked);
        }
        self.deliver(message, patience)
            .map_err(|(reason, _)| reason)
    }

    fn deliver<T: MessageBox>(
        &self,
        message: &Message<T>,
        patience: Patience,
    ) -> Result<(), (SendError, usize)> {
        let mut outbound = self.encode(message).map_err(|error| (error, 0))?;
        self.check_size(&outbound, self.options.message_limit)
            .map_err(|error| (error, 0))?;
        let target = match &message.address {
            Address::Asker(to) => {
                outbound.correlation = Some(Correlation::Reply(to.number));
                Target::Asker(to.endpoint)
            }
            _ => Target::Selector(message.selector()),
        };
        loop {
            let route = self.route(target, patience).map_err(|error| (error, 0))?;
            if route.is_empty() {
                return match target {
                    Target::Selector(selector) if !selector.ttl.is_zero() => self
                        .copy_lent(message, &mut outbound)
                        .and_then(|()| self.park(selector, &mut outbound, patience))
                        .map_err(|error| (error, 0)),
                    _ => Ok(()),
                };
            }
            // All or nothing: nobody gets what is too large for somebody.
            let limit = route.iter().map(|peer| peer.limits.message).min();
            self.check_size(&outbound, limit.unwrap_or(u64::MAX))
                .map_err(|error| (error, 0))?;
            let outcome = self.send_or_copy(message, &route, &outbound, patience);
            match outcome.failure {
                Some(failure) => return Err((failure, outcome.delivered)),
                None if outcome.delivered > 0 => return Ok(()),
                // All of them have gone meanwhile.
                None => {}
            }
        }
    }

    /// A message, with references to what this endpoint has lent.
    pub(crate) fn encode<'m, T: MessageBox>(
        &'m self,
        message: &'m Message<T>,
    ) -> Result<Outbound<'m>, SendError> {
        Outbound::encode(message, self.loans.get())
    }

    /// Replaces references by what they refer to.
    pub(crate) fn copy_lent<'m, T: MessageBox>(
        &self,
        message: &'m Message<T>,
        outbound: &mut Outbound<'m>,
    ) -> Result<(), SendError> {
        if outbound.is_lent() {
            let correlation = outbound.correlation;
            *outbound = Outbound::encode(message, None)?;
            outbound.correlation = correlation;
            self.check_size(outbound, self.options.message_limit)?;
        }
        Ok(())
    }

    /// Sends to all that are meant, and a copy to those to whom nothing can be lent.
    pub(crate) fn send_or_copy<T: MessageBox>(
        &self,
        message: &Message<T>,
        route: &Route,
        outbound: &Outbound<'_>,
        patience: Patience,
    ) -> Outcome {
        let mut outcome = self.send_to_all(route, outbound, patience);
        if outcome.copies.is_empty() {
            return outcome;
        }
        let copied = Outbound::encode(message, None).and_then(|mut copied| {
            copied.correlation = outbound.correlation;
            self.check_size(&copied, self.options.message_limit)?;
            Ok(copied)
        });
        match copied {
            Ok(copied) => {
                let of_copies = self.send_to_all(&outcome.copies, &copied, patience);
                outcome.delivered += of_copies.delivered;
                outcome.failure = outcome.failure.or(of_copies.failure);
            }
            Err(error) => outcome.failure = Some(error),
        }
        outcome
    }

    pub(crate) fn check_size(&self, outbound: &Outbound<'_>, limit: u64) -> Result<(), SendError> {
        match outbound.size as u64 {
            size if size > limit => Err(SendError::TooLarge { size, limit }),
            _ => Ok(()),
        }
    }

    /// Who is meant, once nothing of ours is in the way.
    pub(crate) fn route(&self, target: Target<'_>, patience: Patience) -> Result<Route, SendError> {
        let mode = match target {
            Target::Selector(selector) => selector.mode,
            Target::Asker(_) => SelectorMode::Unicast,
        };
        let mut stale_since = None;
        loop {
            let ticket = self.room.ticket();
            let mut routing = self.routing();
            let left = routing.refresh();
            if !left.is_empty() {
                drop(routing);
                self.part_from(left);
                continue;
            }
            let route = match target {
                Target::Selector(selector) => routing.route(selector),
                Target::Asker(id) => routing.route_to_asker(id),
            };
            if routing.is_reserved(&route) {
                drop(routing);
                if !self.wait_for_parked(&route, patience) {
                    return Err(self.why_not(patience));
                }
                continue;
            }
            if !routing.is_stale() {
                return Ok(route);
            }
            // While a new controller takes over, others may join that we do not see yet. They
            // come last in the order, so a unicast that has a receiver need not wait, unless the
            // receiver is the one that has died.
            if let (SelectorMode::Unicast, [peer]) = (mode, route.as_slice()) {
                drop(routing);
                if peer.is_reachable() {
                    return Ok(route);
                }
                self.lose(peer);
                continue;
            }
            let was_lied_to = routing.was_lied_to();
            drop(routing);
            let patience_with_beacon = match self.controller_lives() {
                true if was_lied_to => Some(Duration::ZERO),
                true => Some(LIE_PATIENCE),
                false if self.link().vacant.is_some() => Some(BEACON_PATIENCE),
                // Whoever serves the bus now, or is about to, may have let others in. It may be stopped;
                // what is sent meanwhile would miss them.
                false => None,
            };
            let since = *stale_since.get_or_insert_with(Instant::now);
            let distrust_at = patience_with_beacon.map(|time| since + time);
            if distrust_at.is_some_and(|at| Instant::now() >= at) {
                tracing::debug!(
                    "the beacon is raised, and no controller comes: it is not believed"
                );
                self.routing().distrust_beacon();
                continue;
            }
            if let Status::Lost(fate) = &self.link().status {
                return Err(crate::JoinError::from(fate.clone()).into());
            }
            if patience.is_over() {
                return Err(self.why_not(patience));
            }
            let until = [patience.deadline(), distrust_at]
                .into_iter()
                .flatten()
                .min();
            self.room.wait(ticket, until);
        }
    }

    fn send_to_all(&self, route: &Route, outbound: &Outbound<'_>, patience: Patience) -> Outcome {
        let mut outcome = Outcome {
            delivered: 0,
            failure: None,
            copies: Route::new(),
        };
        let mut waiting: Vec<(&Arc<Peer>, Progress)> = route
            .iter()
            .map(|peer| (peer, Progress::default()))
            .collect();
        loop {
            let ticket = self.room.ticket();
            waiting.retain_mut(|(peer, progress)| {
                match self.attempt(peer, outbound, progress) {
                    Attempt::Full => return true,
                    Attempt::Sent => outcome.delivered += 1,
                    Attempt::Copy => outcome.copies.push(Arc::clone(peer)),
                    Attempt::Gone => self.lose(peer),
                    Attempt::Failed(error) => outcome.failure = Some(error),
                }
                false
            });
            if waiting.is_empty() {
                return outcome;
            }
            if let Status::Lost(fate) = &self.link().status {
                outcome.failure = Some(crate::JoinError::from(fate.clone()).into());
            } else if patience.is_over() {
                outcome.failure = Some(self.why_not(patience));
            } else {
                self.room.wait(ticket, patience.deadline());
                self.part_from_those_who_left();
                continue;
            }
            for (peer, progress) in &mut waiting {
                self.give_up(peer, progress);
            }
            return outcome;
        }
    }

    /// Tries to get a message to one receiver.
    pub(crate) fn attempt(
        &self,
        peer: &Arc<Peer>,
        outbound: &Outbound<'_>,
        progress: &mut Progress,
    ) -> Attempt {
        let mut contact = peer.contact();
        if matches!(*contact, Contact::None) {
            if peer.id == self.id {
                if let Err(error) = self.meet_ourselves(peer, &mut contact) {
                    return Attempt::Failed(SendError::Resources(error));
                }
            } else {
                *contact = Contact::Asked(None);
                self.seek(peer.id, 0);
                return Attempt::Full;
            }
        }
        match &mut *contact {
            Contact::Line(line) => {
                let attempt = match line.attempt(outbound, progress, self.room.doorbell()) {
                    // The receiver's end of the channel was lost with a controller before the
                    // receiver had it. The driver asks for another channel when it sees that.
                    Attempt::Gone if !line.is_confirmed() => Attempt::Full,
                    attempt => attempt,
                };
                if !matches!(attempt, Attempt::Full) && line.finish(progress) {
                    self.room.announce();
                }
                attempt
            }
            Contact::Gone => Attempt::Gone,
            Contact::None | Contact::Asked(_) => match self.link().lack.take() {
                Some(error) => Attempt::Failed(SendError::Resources(error)),
                None => Attempt::Full,
            },
        }
    }

    fn give_up(&self, peer: &Peer, progress: &mut Progress) {
        if let Contact::Line(line) = &mut *peer.contact()
            && line.finish(progress)
        {
            self.room.announce();
        }
    }

    fn part_from_those_who_left(&self) {
        let left = self.routing().refresh();
        self.part_from(left);
    }

    /// Those who have left the bus are no receivers any more.
    pub(crate) fn part_from(&self, left: Vec<Arc<Peer>>) {
        if !left.is_empty() {
            left.iter().for_each(|peer| peer.lose());
            self.room.announce();
            self.announce_departure(left.iter().map(|peer| peer.id));
        }
    }

    fn why_not(&self, patience: Patience) -> SendError {
        match patience {
            Patience::None => SendError::WouldBlock,
            _ => SendError::Timeout,
        }
    }
}

fn failure<T>(message: Message<T>, reason: SendError, delivered: usize) -> TrySendError<T> {
    TrySendError {
        message,
        reason,
        delivered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options,
        endpoint::{Bearings, SharedPages},
        label,
        peer::{Line, Reach},
    };
    use ipmb_core::EndpointId;
    use ipmb_sys::Channel;
    use std::os::fd::AsFd;

    /// A new way to a receiver (the endpoint itself), and the receiver's end of the channel.
    fn channel(endpoint: &Endpoint) -> (Reach, Channel) {
        let (ours, theirs) = Channel::pair().unwrap();
        let (doorbell, page, ready) = endpoint.inbox.objects();
        let doorbell = doorbell.try_clone().unwrap();
        let shared = SharedPages::map(page.as_fd(), ready.as_fd()).unwrap();
        (shared.reach(Arc::new(ours), doorbell), theirs)
    }

    #[test]
    fn who_waits_for_a_controller_waits_as_long_as_there_may_be_one() {
        let endpoint = Endpoint::new(Options::new("test", label!(), ""), "").unwrap();
        let bearings = Bearings::for_tests(1);
        bearings.beacon.raise(2);
        endpoint.routing().install(bearings);
        let mut link = endpoint.link();
        link.status = Status::Orphaned;
        drop(link);
        let everybody = Selector::multicast("anybody");
        let route = || {
            let patience = Patience::from_timeout(Some(BEACON_PATIENCE * 3 / 2));
            endpoint.route(Target::Selector(&everybody), patience)
        };
        assert!(matches!(route(), Err(SendError::Timeout)));
        endpoint.link().vacant = Some(Instant::now());
        assert!(route().is_ok_and(|route| route.is_empty()));
    }

    #[test]
    fn who_has_a_line_and_his_end_of_it_receives_whatever_the_controller_thinks() {
        let endpoint = Endpoint::new(Options::new("test", label!(), ""), "").unwrap();
        let peer = Peer::new(EndpointId(1), endpoint.limits());
        assert!(!peer.receives());
        let (reach, theirs) = channel(&endpoint);
        *peer.contact() = Contact::Line(Box::new(Line::new(reach, peer.limits, true)));
        assert!(peer.receives());
        drop(theirs);
        assert!(!peer.receives());
    }

    #[test]
    fn a_receiver_whose_end_was_lost_with_a_controller_is_not_gone() {
        let endpoint = Endpoint::new(Options::new("test", label!(), ""), "").unwrap();
        let peer = Arc::new(Peer::new(EndpointId(1), endpoint.limits()));
        let (reach, theirs) = channel(&endpoint);
        drop(theirs);
        let line = Line::new(reach, peer.limits, false);
        *peer.contact() = Contact::Line(Box::new(line));

        let message = Message::new(Selector::unicast("peer"), 7u8);
        let outbound = Outbound::encode(&message, None).unwrap();
        let mut progress = Progress::default();
        let attempt = endpoint.attempt(&peer, &outbound, &mut progress);
        assert!(matches!(attempt, Attempt::Full));

        let (reach, _theirs) = channel(&endpoint);
        if let Contact::Line(line) = &mut *peer.contact() {
            assert!(line.reconnect(reach, endpoint.room.doorbell()));
        }
        let attempt = endpoint.attempt(&peer, &outbound, &mut progress);
        assert!(matches!(attempt, Attempt::Sent));
    }
}

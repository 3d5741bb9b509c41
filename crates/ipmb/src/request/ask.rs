//! Sending a request.

use super::RequestError;
use crate::{
    Message, MessageBox, SelectorMode, SendError,
    endpoint::{AtOnce, Endpoint, Target},
    inbox::NoReply,
    patience::Patience,
    peer::Contact,
};
use ipmb_core::{Correlation, EndpointId};

impl Endpoint {
    /// Sends a request, and says under which number the inbox expects the reply.
    pub(crate) fn ask<T: MessageBox>(
        &self,
        message: &Message<T>,
        patience: Patience,
    ) -> Result<u64, RequestError> {
        if message.selector().mode != SelectorMode::Unicast {
            return Err(RequestError::Multicast);
        }
        if self.is_forked() {
            return Err(RequestError::Forked);
        }
        // Expected before it is sent, as the reply may be quicker than we are.
        let mut number = None;
        let mut ask_at_once = || {
            self.ask_at_once(message, |peer| {
                match number {
                    None => number = self.inbox.expect_reply(Some(peer)),
                    Some(number) => self.inbox.asked(number, Some(peer)),
                }
                number
            })
        };
        let mut at_once = ask_at_once();
        if matches!(at_once, AtOnce::Full) {
            self.await_room(message.selector());
            at_once = ask_at_once();
        }
        let number = number
            .or_else(|| self.inbox.expect_reply(None))
            .ok_or(RequestError::ReceiverDropped)?;
        let result = match at_once {
            AtOnce::Sent => Ok(()),
            AtOnce::Full | AtOnce::Not => self.ask_patiently(message, number, patience),
        };
        if result.is_err() {
            self.inbox.forget_request(number);
        }
        result.map(|()| number)
    }

    fn ask_patiently<T: MessageBox>(
        &self,
        message: &Message<T>,
        number: u64,
        patience: Patience,
    ) -> Result<(), RequestError> {
        let mut outbound = self.encode(message)?;
        outbound.correlation = Some(Correlation::Request(number));
        self.check_size(&outbound, self.options.message_limit)?;
        loop {
            let route = self.route(Target::Selector(message.selector()), patience)?;
            let Some(peer) = route.first() else {
                if message.selector().ttl.is_zero() {
                    return Err(RequestError::NobodyMatches);
                }
                self.copy_lent(message, &mut outbound)?;
                self.inbox.asked(number, None);
                return Ok(self.park(message.selector(), &mut outbound, patience)?);
            };
            self.check_size(&outbound, peer.limits.message)?;
            self.inbox.asked(number, Some(peer.id));
            let outcome = self.send_or_copy(message, &route, &outbound, patience);
            match outcome.failure {
                Some(failure) => return Err(failure.into()),
                None if outcome.delivered > 0 => return Ok(()),
                // It has gone meanwhile.
                None => {}
            }
        }
    }

    /// A request that was parked has found somebody: looks out for its end. Called by the driver.
    pub(crate) fn parked_request_went_to(&self, number: u64, id: EndpointId) {
        self.inbox.asked(number, Some(id));
        if id == self.id {
            return;
        }
        let mut routing = self.routing();
        let left = routing.refresh();
        let deaf = routing.is_deaf(id);
        let peer = routing.peer(id);
        drop(routing);
        self.part_from(left);
        // Whoever is not there any more cannot be introduced.
        let Some(peer) = peer else {
            return self.seek(id, 0);
        };
        let mut contact = peer.contact();
        match &*contact {
            Contact::None => {
                *contact = Contact::Asked(None);
                self.seek(id, 0);
            }
            Contact::Asked(_) => {}
            Contact::Line(_) if !deaf => {}
            Contact::Line(_) | Contact::Gone => self.announce_departure([id]),
        }
    }

    /// A request that was parked will have no reply. Called by the driver.
    pub(crate) fn parked_request_failed(&self, request: Option<u64>, why: NoReply) {
        if let Some(number) = request {
            self.inbox.fail_request(number, why);
        }
    }
}

impl From<SendError> for NoReply {
    fn from(error: SendError) -> Self {
        Self::Unsent(error)
    }
}

//! Waiting for a reply.
//!
//! Threads may wait for replies while others are in `recv`, or nobody is. Whoever looks into the
//! lanes looks for all: replies go to those who wait for them, and what else is found while looking
//! for a reply is kept for `recv`. At most one thread sleeps on the doorbell. If it is in `recv`,
//! those who wait for replies each sleep on a bell of their own, and it wakes them. If it waits for
//! a reply, it leaves what it receives through to others meanwhile, and who is in `recv` sleeps
//! until it has a turn.

use super::{
    Inbox, State,
    attachments::Incoming,
    message_of,
    requests::{NoReply, Outcome, Requests},
    rx::Rx,
};
use crate::{
    Error, Message, MessageBox, RecvError, RequestError, bytes::Received, loan::resolving,
    patience::Patience,
};
use ipmb_core::{Correlation, EndpointId};
use ipmb_lane::BiasedGuard;
use ipmb_sys::{Heard, Hearing};
use std::{io, time::Instant};

/// So many messages in a row are read from one sender before time limits are looked at.
const BURST: usize = 256;

impl Inbox {
    /// A new request, and who is asked, if that is known; `None`: nothing is received any more.
    #[inline]
    pub(crate) fn expect_reply(&self, asked: Option<EndpointId>) -> Option<u64> {
        let mut state = self.state.lock();
        match state.closed {
            true => None,
            false => Some(state.requests.add(asked)),
        }
    }

    /// Says who was asked; nobody yet if the request is parked.
    pub(crate) fn asked(&self, number: u64, asked: Option<EndpointId>) {
        let mut state = self.state.lock();
        state.requests.set_asked(number, asked);
        state.requests.call(number, &self.doorbell);
    }

    /// There will be no reply.
    pub(crate) fn fail_request(&self, number: u64, why: NoReply) {
        let outcome = Outcome::None(why);
        let mut state = self.state.lock();
        state.requests.settle(number, outcome, &self.doorbell);
    }

    /// Nobody is interested in the reply any more.
    pub(crate) fn forget_request(&self, number: u64) {
        self.state.lock().requests.remove(number);
    }

    /// Waits for the reply to a request, which is over then unless the error says otherwise.
    pub(crate) fn wait_for_reply<A: MessageBox>(
        &self,
        number: u64,
        patience: Patience,
    ) -> Result<Message<A>, RequestError> {
        let mut state = self.state.lock();
        if let Some(payload) = state.reply_at_once(number, !patience.is_over()) {
            let payload = payload.map_err(undecodable)?;
            return Ok(Message::received(payload, Vec::new(), Vec::new(), None));
        }
        state.requests.waits += 1;
        // Others may have read meanwhile.
        state.requests.read = true;
        let result = loop {
            let found = match self.look_for_reply(&mut state, number) {
                Ok(None) if patience.is_over() => Err(RequestError::Timeout),
                found => found,
            };
            if let Some(result) = found.transpose() {
                break result;
            }
            let slept;
            (state, slept) = self.await_reply(state, number, patience);
            if let Err(error) = slept {
                break Err(RequestError::Resources(error));
            }
        };
        self.settle(&mut state);
        self.pass_turn(&state);
        self.leave_to_those_who_wait(&mut state);
        state.requests.waits -= 1;
        result
    }

    fn look_for_reply<A: MessageBox>(
        &self,
        state: &mut State,
        number: u64,
    ) -> Result<Option<Message<A>>, RequestError> {
        if state.closed {
            return Err(RequestError::ReceiverDropped);
        }
        let receivers_wait = state.waiting > 0;
        let State { rx, requests, .. } = state;
        if let Some(outcome) = requests.finish(number) {
            return open(outcome).map(Some);
        }
        let Some(rx) = rx.as_deref_mut() else {
            return Ok(None);
        };
        if let Some(mut incoming) = self.read_replies(rx, requests, number, receivers_wait)? {
            let payload = rx.decode(&mut incoming).map_err(undecodable)?;
            return Ok(Some(message_of(incoming, payload)));
        }
        if let Some(outcome) = requests.finish(number) {
            return open(outcome).map(Some);
        }
        if rx.is_lost()
            && !requests
                .asked(number)
                .is_some_and(|it| rx.has_news_from(it))
        {
            return Err(RequestError::Disconnected(
                "the driver of the endpoint has ended".into(),
            ));
        }
        Ok(None)
    }

    /// Reads what those have sent who owe replies, up to the reply to this request.
    fn read_replies(
        &self,
        rx: &mut Rx,
        requests: &mut Requests,
        number: u64,
        receivers_wait: bool,
    ) -> Result<Option<Incoming>, RequestError> {
        let own = requests.asked(number);
        if let Some(own) = own {
            let found = self.read_from(rx, requests, own, number);
            if found.as_ref().is_ok_and(Option::is_none)
                && requests.kept.is_full()
                && rx.has_news_from(own)
                && !receivers_wait
            {
                return Err(RequestError::InboxFull);
            }
            if let Some(incoming) = found? {
                return Ok(Some(incoming));
            }
        }
        for other in requests.other_debtors(own) {
            // Whoever waits for it will find the same error.
            let _ = self.read_from(rx, requests, other, number);
        }
        requests.bury(rx, &self.doorbell);
        Ok(None)
    }

    /// Reads what one endpoint has sent, up to the reply to this request.
    fn read_from(
        &self,
        rx: &mut Rx,
        requests: &mut Requests,
        endpoint: EndpointId,
        number: u64,
    ) -> Result<Option<Incoming>, RequestError> {
        for _ in 0..BURST {
            if requests.kept.is_full() || !rx.has_news_from(endpoint) {
                break;
            }
            requests.read = true;
            let Some(incoming) = rx.next_from(endpoint).map_err(unreadable)? else {
                break;
            };
            match incoming.correlation {
                Some(Correlation::Reply(it)) if it == number && requests.expects(it, endpoint) => {
                    requests.remove(number);
                    return Ok(Some(incoming));
                }
                Some(Correlation::Reply(it)) => {
                    let (incoming, bytes) = rx.take_out(incoming);
                    requests.reply(it, incoming, bytes, &self.doorbell);
                }
                _ => {
                    let (incoming, bytes) = rx.take_out(incoming);
                    requests.kept.push(incoming, bytes);
                }
            }
        }
        Ok(None)
    }

    /// Sleeps until it is worth while to look again.
    fn await_reply<'a>(
        &'a self,
        mut state: BiasedGuard<'a, State>,
        number: u64,
        patience: Patience,
    ) -> (BiasedGuard<'a, State>, io::Result<()>) {
        let State {
            rx,
            requests,
            waiting,
            ..
        } = &mut *state;
        if let Some(rx) = rx.as_deref_mut() {
            if let Some(asked) = requests.asked(number)
                && rx.spin_for(|rx| rx.has_news_from(asked))
            {
                return (state, Ok(()));
            }
            let is_quiet = self.get_ready_to_sleep(rx, requests);
            // What cannot be read, because too much is kept, is for those to hear who receive, or
            // it is an error.
            let is_stuck = requests.kept.is_full()
                && (*waiting > 0
                    || !requests
                        .asked(number)
                        .is_some_and(|it| rx.has_news_from(it)));
            if requests.is_over(number) || !is_quiet && !is_stuck {
                return (state, Ok(()));
            }
            if rx.has_news() || !requests.kept.is_empty() {
                self.pass_turn(&state);
            }
            if state.requests.sleeper.is_none() {
                return self.sleep_for_replies(state, number, patience);
            }
        }
        let bell = state.requests.hang_bell(number);
        drop(state);
        bell.wait(patience);
        let mut state = self.state.lock();
        state.requests.take_bell(number);
        (state, Ok(()))
    }

    /// Has those who owe replies ring the doorbell; `false`: something has come.
    pub(super) fn get_ready_to_sleep(&self, rx: &mut Rx, requests: &mut Requests) -> bool {
        if std::mem::take(&mut requests.read) || !rx.is_armed() {
            rx.disarm();
            rx.arm();
        }
        self.hand_over_arrivals(rx);
        requests.bury(rx, &self.doorbell);
        !requests.has_news(rx)
    }

    /// Sleeps on the doorbell with a hearing of its own: it stays rung for who watches it.
    fn sleep_for_replies<'a>(
        &'a self,
        mut state: BiasedGuard<'a, State>,
        number: u64,
        patience: Patience,
    ) -> (BiasedGuard<'a, State>, io::Result<()>) {
        let hearing = match self.aside() {
            Ok(hearing) => hearing,
            Err(error) => return (state, Err(error)),
        };
        state.requests.sleeper = Some(number);
        drop(state);
        let start = Instant::now();
        let slept = hearing.wait(patience.left()).map(|heard| {
            if heard == Heard::Kept {
                hearing.clear();
            }
        });
        let mut state = self.state.lock();
        state.requests.woke();
        if let Some(rx) = state.rx.as_deref_mut() {
            rx.slept(start.elapsed());
        }
        (state, slept)
    }

    fn aside(&self) -> io::Result<&Hearing> {
        if let Some(hearing) = self.aside.get() {
            return Ok(hearing);
        }
        let hearing = self.doorbell.hearing()?;
        Ok(self.aside.get_or_init(|| hearing))
    }
}

impl State {
    /// The way of nearly all replies: it comes at once, without attachments, and nobody else waits for anything.
    #[inline]
    fn reply_at_once<A: MessageBox>(
        &mut self,
        number: u64,
        patient: bool,
    ) -> Option<Result<A, Error>> {
        if self.watched || self.waiting > 0 || self.requests.waits > 0 {
            return None;
        }
        let asked = self.requests.asked(number)?;
        if !self.requests.expects(number, asked) {
            return None;
        }
        let reply = self
            .rx
            .as_deref_mut()?
            .reply_at_once(asked, number, patient)?;
        self.requests.remove(number);
        Some(reply)
    }
}

fn open<A: MessageBox>(outcome: Outcome) -> Result<Message<A>, RequestError> {
    match outcome {
        Outcome::Reply(reply) => {
            let (mut incoming, mut bytes) = *reply;
            let views = std::mem::take(&mut incoming.views);
            let received = Received {
                type_id: incoming.type_id,
                buffer: &mut bytes,
                payload: incoming.payload.clone(),
            };
            let payload = resolving(views, || A::decode_received(received));
            let payload = payload.map_err(undecodable)?;
            Ok(message_of(incoming, payload))
        }
        Outcome::None(NoReply::PeerGone) => Err(RequestError::PeerGone),
        Outcome::None(NoReply::Expired) => Err(RequestError::Expired),
        Outcome::None(NoReply::Unsent(error)) => Err(error.into()),
    }
}

fn undecodable(error: Error) -> RequestError {
    match error {
        Error::TypeUuidNotFound => RequestError::UnexpectedType,
        error => RequestError::Decode(error),
    }
}

fn unreadable(error: RecvError) -> RequestError {
    match error {
        RecvError::Resources(error) => RequestError::Resources(error),
        error => RequestError::Disconnected(error.to_string()),
    }
}

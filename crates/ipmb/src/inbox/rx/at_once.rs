//! The way of nearly all messages: from the same sender as the one before, in one piece, without attachments.
//!
//! It is inlined into the caller, and its results are kept small: a result that is written to memory in one shape
//! and read in another costs as much as the message itself.

use super::Rx;
use crate::{
    Error, MessageBox,
    bytes::Received,
    inbox::source::Source,
    loan::{Views, resolving},
    request::ReplyTo,
};
use ipmb_core::{
    CORRELATED_HEADER_LEN, Correlation, EndpointId, LaneMessage, LoanRef, MessageHeader, TypeId,
};

/// So many looks for the message after the last one take less time than to look for anything else.
const MOMENT: u32 = 64;

impl Rx {
    /// The next message if it is like the one before: from the same source, in one piece, and
    /// without attachments. Nothing else needs a look before it. If it may still come, a `patient` caller
    /// looks for it for a moment.
    #[inline(always)]
    pub(in crate::inbox) fn receive_at_once<R: MessageBox>(
        &mut self,
        mut patient: bool,
    ) -> Option<R> {
        let (left, index) = self.express;
        let left = left.checked_sub(1)?;
        // Not in its place, so that it need not be in memory at all: the compiler moves it in larger pieces than
        // it was written, which takes longer than to receive the message.
        let mut buffer = self.take_buffer();
        let (tag, source) = loop {
            let source = self.sources.get_mut(index)?.as_mut()?;
            if let Some(tag) = source.pull_at_once(&mut buffer, self.limits.message) {
                break (tag, source);
            }
            if !std::mem::take(&mut patient) || !self.comes_in_a_moment(index) {
                self.keep_buffer(buffer);
                return None;
            }
        };
        self.express.0 = left;
        if tag == LaneMessage::TAG {
            return self.keep_request(index, buffer);
        }
        if tag & LoanRef::TAG_BIT != 0 {
            return self.receive_lent_at_once(index, tag, buffer);
        }
        let type_id = source.type_of(tag)?;
        let payload = decode_at_once(type_id, &mut buffer, 0);
        self.keep_buffer(buffer);
        match payload {
            Ok(payload) => Some(payload),
            Err(error) => self.fail(error),
        }
    }

    #[inline(always)]
    fn take_buffer(&mut self) -> Vec<u8> {
        match self.buffer.capacity() {
            0 => Vec::new(),
            _ => std::mem::take(&mut self.buffer),
        }
    }

    #[inline(always)]
    fn keep_buffer(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 {
            self.buffer = buffer;
        }
    }

    /// Keeps a message that was pulled at once and has an envelope for [`take_request`](Self::take_request), if it is
    /// a request without attachments, and else for the long way.
    #[inline(never)]
    fn keep_request<R>(&mut self, index: usize, buffer: Vec<u8>) -> Option<R> {
        let source = self.sources.get_mut(index)?.as_mut()?;
        match MessageHeader::parse_correlated(&buffer) {
            // Another thread may be about to take the one before.
            Some((type_id, Correlation::Request(number), _)) if self.request.is_none() => {
                source.has_asked();
                let endpoint = source.endpoint;
                self.request = Some((type_id, ReplyTo { endpoint, number }, buffer));
            }
            _ => source.put_back(LaneMessage::TAG, buffer),
        }
        None
    }

    /// The request that [`receive_at_once`](Self::receive_at_once) has found, if it has.
    #[inline]
    pub(in crate::inbox) fn take_request<R: MessageBox>(&mut self) -> Option<(R, ReplyTo)> {
        let (type_id, reply_to, mut buffer) = self.request.take()?;
        let payload = decode_at_once(type_id, &mut buffer, CORRELATED_HEADER_LEN);
        self.buffer = buffer;
        match payload {
            Ok(payload) => Some((payload, reply_to)),
            Err(error) => self.fail(error),
        }
    }

    /// The reply that one endpoint owes under a number, if it is the next that comes from there.
    #[inline]
    pub(in crate::inbox) fn reply_at_once<R: MessageBox>(
        &mut self,
        from: EndpointId,
        number: u64,
        mut patient: bool,
    ) -> Option<Result<R, Error>> {
        let index = self.source_of_replies(from)?;
        let mut buffer = self.take_buffer();
        let (tag, source) = loop {
            let source = self.sources.get_mut(index)?.as_mut()?;
            if let Some(tag) = source.pull_at_once(&mut buffer, self.limits.message) {
                break (tag, source);
            }
            if !std::mem::take(&mut patient) || !self.comes_in_a_moment(index) {
                self.keep_buffer(buffer);
                return None;
            }
        };
        self.since_scan += 1;
        self.scanned = false;
        let type_id = match MessageHeader::parse_correlated(&buffer) {
            Some((type_id, Correlation::Reply(it), _))
                if tag == LaneMessage::TAG && it == number =>
            {
                type_id
            }
            _ => {
                source.put_back(tag, buffer);
                return None;
            }
        };
        let payload = decode_at_once(type_id, &mut buffer, CORRELATED_HEADER_LEN);
        self.buffer = buffer;
        Some(payload)
    }

    /// Nearly always the same as the last time.
    #[inline]
    fn source_of_replies(&mut self, from: EndpointId) -> Option<usize> {
        let is_it = |source: &Option<Source>| source.as_ref().is_some_and(|it| it.endpoint == from);
        if !self.sources.get(self.replies).is_some_and(is_it) {
            self.replies = self.sources.iter().position(is_it)?;
        }
        Some(self.replies)
    }

    /// A message that was pulled at once and refers to loans.
    #[inline(never)]
    fn receive_lent_at_once<R: MessageBox>(
        &mut self,
        index: usize,
        tag: u16,
        buffer: Vec<u8>,
    ) -> Option<R> {
        let source = self.sources.get_mut(index)?.as_mut()?;
        let mut views = Views::new();
        let (type_id, mut buffer) = source.open_lent_at_once(tag, buffer, &mut views)?;
        let decoded = resolving(views, || decode_at_once(type_id, &mut buffer, 0));
        self.buffer = buffer;
        decoded.or_else(|error| self.fail(error).ok_or(())).ok()
    }

    /// Keeps what is wrong with a message for the long way to tell.
    #[cold]
    fn fail<T>(&mut self, error: Error) -> Option<T> {
        self.failure = self.judge(error).err();
        None
    }

    /// Looks for the next message of a source for so short a time that no clock is needed, and no longer than
    /// nobody else has news.
    #[inline(never)]
    fn comes_in_a_moment(&mut self, index: usize) -> bool {
        if self.spin.budget().is_zero() || !self.few() {
            return false;
        }
        for _ in 0..MOMENT {
            std::hint::spin_loop();
            for (at, source) in self.sources.iter().enumerate() {
                if source.as_ref().is_some_and(Source::has_news) {
                    self.spin.spun(true);
                    return at == index;
                }
            }
        }
        false
    }
}

/// The payload of a message that was pulled at once: what stands behind its header.
#[inline(always)]
fn decode_at_once<R: MessageBox>(
    type_id: TypeId,
    buffer: &mut Vec<u8>,
    start: usize,
) -> Result<R, Error> {
    let payload = start..buffer.len();
    R::decode_received(Received {
        type_id,
        buffer,
        payload,
    })
}

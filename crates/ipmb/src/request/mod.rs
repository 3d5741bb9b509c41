//! Requests: messages that ask for a reply.

mod ask;
mod error;
mod pending;

pub use error::RequestError;
pub use pending::Pending;

use ipmb_core::EndpointId;

/// Whom to reply to, and to which of its requests: see [`Message::reply_to`](crate::Message::reply_to).
///
/// It can be kept and given to another thread. The first reply counts: later ones are dropped where
/// they arrive. So are replies that come too late, and those that are not from the endpoint that
/// was asked; reply with the sender of the endpoint that received the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplyTo {
    pub(crate) endpoint: EndpointId,
    pub(crate) number: u64,
}

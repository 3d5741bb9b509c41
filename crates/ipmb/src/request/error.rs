//! What can become of a request.

use crate::{Error, SendError};
use std::io;
use thiserror::Error;

/// Why a request could not be made, or has no reply.
///
/// One enum for [`request`](crate::EndpointSender::request) and [`wait`](crate::Pending::wait), so
/// that the two can stand in one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The selector is one of a multicast.
    #[error("a request goes to one endpoint: use `Selector::unicast`")]
    Multicast,
    /// Nobody matches, and the selector has no time to live.
    #[error("nobody matches the selector: give it a ttl, and the request waits for somebody")]
    NobodyMatches,
    /// The request was not sent.
    #[error("the request was not sent: {0}")]
    Send(#[source] SendError),
    /// No reply came in time. The request stands: wait again, or drop it.
    #[error("no reply came in time")]
    Timeout,
    /// Who was asked has died, has left the bus or receives no more, and has not replied.
    #[error("who was asked is gone, or receives no more, and has not replied")]
    PeerGone,
    /// Nobody has come for the request within its selector's time to live.
    #[error("nobody has come for the request within its ttl")]
    Expired,
    /// The reply's bytes are not a value of its type. The request is over.
    #[error("the reply cannot be decoded: {0}")]
    Decode(#[source] Error),
    /// The reply is of a type that the message box to which it was to be decoded does not know. The
    /// request is over.
    #[error("the reply is of a type that was not expected")]
    UnexpectedType,
    /// Who was asked has sent so many other messages that there is no room to keep them until
    /// somebody receives them. Receive them and wait again.
    #[error(
        "other messages from who was asked fill the inbox: receive them, then wait for the reply again"
    )]
    InboxFull,
    /// The [`EndpointReceiver`](crate::EndpointReceiver) is dropped: replies cannot arrive.
    #[error("the endpoint's receiver is dropped, so that no reply can arrive: keep it")]
    ReceiverDropped,
    /// An earlier [`wait`](crate::Pending::wait) has returned the reply, or said why there is none.
    #[error("the request is over: an earlier call has returned what came of it")]
    Over,
    /// The system lacks a resource: descriptors, memory. The request stands.
    #[error("the system refused a resource: {0}")]
    Resources(#[source] io::Error),
    /// The endpoint belongs to the parent of this process, which was made by `fork`.
    #[error("this endpoint belongs to the parent process: join again after fork")]
    Forked,
    /// The endpoint lost the bus for good.
    #[error("the endpoint is not on the bus any more: {0}")]
    Disconnected(String),
}

impl From<SendError> for RequestError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Forked => Self::Forked,
            SendError::Disconnected(why) => Self::Disconnected(why),
            error => Self::Send(error),
        }
    }
}

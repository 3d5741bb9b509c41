//! One error enum per operation.

use crate::{Message, Obstacle, RuntimeDirectoryError, Version};
use std::{fmt, io};
use thiserror::Error;

/// Why a payload could not be turned into bytes or back, or a memory region could not be mapped.
///
/// It is what [`MessageBox`](crate::MessageBox) implementations return.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The payload's `Serialize` implementation failed.
    #[error("the payload cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// The bytes are not a value of the expected type.
    #[error("the payload cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// The message is of a type that the [`MessageBox`](crate::MessageBox) does not know.
    #[error("no variant of the message box has this type UUID")]
    TypeUuidNotFound,
    /// A memory region could not be mapped.
    #[error(transparent)]
    MemoryRegion(#[from] MapError),
    /// A message box that is written by hand could not read or write its own encoding.
    #[error("the message box failed: {0}")]
    IoError(#[from] io::Error),
    // What follows is not returned any more, and there for programs that name it.
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned")]
    #[error("timeout")]
    Timeout,
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned")]
    #[error("disconnected")]
    Disconnect,
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned")]
    #[error("the token is not the one of this bus")]
    TokenMismatch,
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned")]
    #[error("the identifier is in use")]
    IdentifierInUse,
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned")]
    #[error("the identifier is not in use")]
    IdentifierNotInUse,
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned: see `MapError`")]
    #[error("the memory region cannot be mapped")]
    MemoryRegionMapping,
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned")]
    #[error("permission denied")]
    PermissionDenied,
    #[doc(hidden)]
    #[deprecated(since = "0.9.0", note = "it is not returned")]
    #[error("something failed")]
    Unknown,
}

/// The payload's `Serialize` implementation failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(transparent)]
pub struct EncodeError(pub(crate) postcard::Error);

/// The bytes of a payload are not a value of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(transparent)]
pub struct DecodeError(pub(crate) postcard::Error);

/// Why [`join`](crate::join) failed. Nothing is left behind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The controller of the bus runs an incompatible version of ipmb; its version is given.
    #[error("the bus runs ipmb {0}, which is not compatible with {v}: update one of the two", v = crate::version())]
    VersionMismatch(Version),
    /// The token in [`Options`](crate::Options) is not the one the bus was made with.
    #[error("the token is not the one of this bus")]
    TokenMismatch,
    /// The bus could not be joined within the given time.
    #[error("the bus could not be joined in time")]
    Timeout,
    /// The system does not let this process use the files of the bus.
    #[error(
        "permission denied: this process may not use the files of the bus in the runtime directory"
    )]
    PermissionDenied,
    /// The identifier is empty.
    #[error("the identifier is empty: give the bus a name, such as \"com.example.app\"")]
    EmptyIdentifier,
    /// The [`Scope::System`](crate::Scope::System) demands a token.
    #[error("a bus of scope `System` demands a token: set one in `Options`")]
    TokenRequired,
    /// Somebody else's process answers under the name of the bus.
    #[error("a process of user {uid} answers under the name of this bus: refused")]
    ForeignController {
        /// The user id of the process that answered.
        uid: u32,
    },
    /// The runtime directory cannot be used.
    #[error(transparent)]
    RuntimeDirectory(RuntimeDirectoryError),
    /// Something stands in the runtime directory where the files of the bus have to be, or somebody
    /// holds its lock file and does not serve.
    #[error(transparent)]
    Obstructed(Obstacle),
    /// The controller refused the endpoint, because a quota is reached.
    #[error("the controller refused: {0}")]
    Refused(String),
    /// The system lacks a resource: descriptors, memory, threads.
    #[error("the system refused a resource: {0}")]
    Resources(#[source] io::Error),
}

/// Why a message was not sent.
///
/// [`try_send`](crate::EndpointSender::try_send) and
/// [`send_timeout`](crate::EndpointSender::send_timeout) give the message back beside it, in a
/// [`TrySendError`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// A receiver had no room for the message in time, or could not be reached in time.
    #[error("a receiver made no room for the message in time")]
    Timeout,
    /// [`try_send`](crate::EndpointSender::try_send) would have had to wait.
    #[error("sending would have to wait: no room, or first contact is still being made")]
    WouldBlock,
    /// After a failover, the new controller turned out to be incompatible.
    #[error("the bus now runs ipmb {0}, which is not compatible")]
    VersionMismatch(Version),
    /// After a failover, the new controller turned out to hold another token.
    #[error("the token is not the one of this bus any more")]
    TokenMismatch,
    /// After a failover, the system does not let this process use the files of the bus any more.
    #[error("permission denied: this process may not use the files of the bus any more")]
    PermissionDenied,
    /// The payload's `Serialize` implementation failed.
    #[error("the payload cannot be encoded: {0}")]
    Encode(#[source] Error),
    /// The message is larger than this endpoint or a receiver allows.
    #[error(
        "the message has {size} bytes, the limit is {limit}: raise `Options::message_limit` on both sides"
    )]
    TooLarge {
        /// The encoded size, in bytes.
        size: u64,
        /// The smaller of both sides' limits, in bytes.
        limit: u64,
    },
    /// The message has more objects, those of memory regions included, than a receiver takes.
    #[error(
        "the message has {count} objects and regions, the limit is {limit}: send several messages"
    )]
    TooManyObjects {
        /// Objects, and memory regions that the receiver has not seen yet.
        count: usize,
        /// The most that there are in one message.
        limit: usize,
    },
    /// A memory region or an object of the message cannot be sent.
    #[error("an attachment cannot be sent: {0}")]
    Attachment(#[source] io::Error),
    /// Nobody matches yet, and no more may be parked.
    #[error("the message cannot be parked: {0}")]
    ParkRefused(String),
    /// The system lacks a resource: descriptors, memory.
    #[error("the system refused a resource: {0}")]
    Resources(#[source] io::Error),
    /// The endpoint belongs to the parent of this process, which was made by `fork`.
    #[error("this endpoint belongs to the parent process: join again after fork")]
    Forked,
    /// The endpoint lost the bus for good.
    #[error("the endpoint is not on the bus any more: {0}")]
    Disconnected(String),
}

/// A message that was not sent, and why.
///
/// Of a multicast message, `delivered` says how many receivers have got it all the same.
pub struct TrySendError<T> {
    /// The message, whole.
    pub message: Message<T>,
    /// Why it was not sent (to everybody).
    pub reason: SendError,
    /// How many receivers have got the message nevertheless; 0 unless it is a multicast.
    pub delivered: usize,
}

/// What [`send_timeout`](crate::EndpointSender::send_timeout) returns when it fails.
pub type SendTimeoutError<T> = TrySendError<T>;

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySendError")
            .field("reason", &self.reason)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> std::error::Error for TrySendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

impl<T> From<TrySendError<T>> for SendError {
    fn from(error: TrySendError<T>) -> Self {
        error.reason
    }
}

/// Why no message was received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// A message came whose bytes are not a value of its type. It is dropped; the next
    /// [`recv`](crate::EndpointReceiver::recv) goes on.
    #[error("a message cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// No message came in time.
    #[error("no message came in time")]
    Timeout,
    /// After a failover, the new controller turned out to be incompatible.
    #[error("the bus now runs ipmb {0}, which is not compatible")]
    VersionMismatch(Version),
    /// After a failover, the new controller turned out to hold another token.
    #[error("the token is not the one of this bus any more")]
    TokenMismatch,
    /// After a failover, the system does not let this process use the files of the bus any more.
    #[error("permission denied: this process may not use the files of the bus any more")]
    PermissionDenied,
    /// A message waits whose objects cannot be taken over, because this process has no free
    /// descriptor. The message stays; close some and receive again.
    #[error("a message waits, but the system refused a resource: {0}")]
    Resources(#[source] io::Error),
    /// The endpoint belongs to the parent of this process, which was made by `fork`.
    #[error("this endpoint belongs to the parent process: join again after fork")]
    Forked,
    /// The endpoint lost the bus for good.
    #[error("the endpoint is not on the bus any more: {0}")]
    Disconnected(String),
}

/// Why a memory region could not be mapped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MapError {
    /// The range is reversed or reaches beyond the region.
    #[error("the range {start}..{end} is not within the {size} bytes of the region")]
    OutOfRange {
        /// First byte asked for.
        start: usize,
        /// One past the last byte asked for.
        end: usize,
        /// Size of the region in bytes.
        size: usize,
    },
    /// The memory could not be had, or not be mapped.
    #[error("the memory of the region could not be had: {0}")]
    Memory(#[source] io::Error),
}

impl From<JoinError> for SendError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::VersionMismatch(version) => Self::VersionMismatch(version),
            JoinError::TokenMismatch => Self::TokenMismatch,
            JoinError::Timeout => Self::Timeout,
            JoinError::PermissionDenied => Self::PermissionDenied,
            JoinError::Resources(error) => Self::Resources(error),
            other => Self::Disconnected(other.to_string()),
        }
    }
}

impl From<JoinError> for RecvError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::VersionMismatch(version) => Self::VersionMismatch(version),
            JoinError::TokenMismatch => Self::TokenMismatch,
            JoinError::Timeout => Self::Timeout,
            JoinError::PermissionDenied => Self::PermissionDenied,
            JoinError::Resources(error) => Self::Resources(error),
            other => Self::Disconnected(other.to_string()),
        }
    }
}

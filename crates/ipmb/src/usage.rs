//! How much of its quotas an endpoint uses.

use ipmb_core::Quota;

/// What an endpoint uses of the bus, and how much there is of it: see
/// [`EndpointSender::usage`](crate::EndpointSender::usage).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusUsage {
    /// Endpoints on the bus, this one included.
    pub endpoints: Quota,
    /// Endpoints of this endpoint's user.
    pub endpoints_of_user: Quota,
    /// What all endpoints take in the directory, in bytes: their labels above all.
    pub directory: Quota,
    /// What the endpoints of this endpoint's user take of it, in bytes.
    pub directory_of_user: Quota,
    /// The words of this endpoint's label, in bytes.
    pub label: Quota,
    /// Messages of this endpoint that are parked.
    pub parked_messages: Quota,
    /// What they take, in bytes: payloads, selectors and bookkeeping.
    pub parked_bytes: Quota,
    /// Objects of parked messages, those of memory regions included. A payload of some size takes one, too.
    pub parked_objects: Quota,
    /// Those to whom this endpoint has sent something, each with quotas of its own.
    pub receivers: Vec<ReceiverUsage>,
}

impl BusUsage {
    /// Bytes that wait to be received, at all receivers.
    pub fn unread(&self) -> u64 {
        self.receivers.iter().map(|receiver| receiver.unread).sum()
    }
}

/// What a sender has one receiver keep.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverUsage {
    /// The process that it lives in; 0 if it has just left.
    pub pid: u32,
    /// Bytes that wait to be received, what stands around messages included.
    pub unread: u64,
    /// The lanes that they wait in, in bytes. A lane grows up to the receiver's
    /// [budget](crate::Options::with_inbox_budget); then its [`Overflow`](crate::Overflow) policy decides. The limit is
    /// twice that: a lane that is replaced by a larger one stays until it is read.
    pub lanes: Quota,
    /// Loans that it keeps. Beyond the limit it is sent copies.
    pub loans: Quota,
}

/// What others have an endpoint keep, and how much it allows them: see
/// [`EndpointReceiver::usage`](crate::EndpointReceiver::usage).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxUsage {
    /// Those who have sent something, each with its own quotas.
    pub senders: Vec<SenderUsage>,
    /// What was met while waiting for a reply and is kept for `recv`, in bytes. When the limit is reached, nothing
    /// more is read but by `recv`.
    pub kept: Quota,
}

impl InboxUsage {
    /// Bytes that wait to be received, of all senders.
    pub fn unread(&self) -> u64 {
        self.senders.iter().map(|sender| sender.unread).sum()
    }
}

/// What one sender has a receiver keep.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SenderUsage {
    /// The process that it lives in.
    pub pid: u32,
    /// Bytes that wait to be received, what stands around messages included, in the lanes that are mapped.
    pub unread: u64,
    /// The lanes that are mapped, in bytes; the limit is twice the
    /// [budget](crate::Options::with_inbox_budget). A lane that has replaced one that was full is not mapped before that
    /// one is read: what waits in it is the sender's memory, and told by [`ReceiverUsage`].
    pub mapped: Quota,
    /// How many lanes these are.
    pub lanes: Quota,
    /// What has arrived of a message that has not arrived as a whole, in bytes.
    pub message: Quota,
    /// Objects that came before their message.
    pub objects: Quota,
    /// Memory regions that are remembered, because somebody still uses them, or may.
    pub regions: Quota,
    /// Loans that are kept.
    pub loans: Quota,
}

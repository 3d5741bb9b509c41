//! The connection to the controller.

use super::park::ParkTable;
use crate::{JoinError, Version};
use ipmb_core::{EndpointId, Framer};
use ipmb_sys::{
    Channel, ChannelSendError, MAX_OBJECTS, MAX_PACKET, Obstacle, OwnedObject, is_lack,
};
use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

/// What the endpoint has to do with the controller.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) status: Status,
    pub(crate) pipe: Option<Pipe>,
    /// To whom we want to be introduced, and the pair of this controller's that broke, if it is therefore.
    pub(crate) wanted: HashMap<EndpointId, u64>,
    /// Who has left, or receives no more, and has not been announced to the receiving side yet.
    pub(crate) departed: Vec<EndpointId>,
    pub(crate) parked: ParkTable,
    /// What the system refused the driver, for the next who waits for something.
    pub(crate) lack: Option<io::Error>,
    /// Since then nobody serves the bus, or is about to.
    pub(crate) vacant: Option<Instant>,
    /// The receiver is dropped.
    pub(crate) deaf: bool,
    /// Who has to be told so, because it has asked us something.
    pub(crate) askers: Vec<EndpointId>,
    /// Sender and receiver are dropped.
    pub(crate) leaving: bool,
    /// Since then the controller is told, and nothing is left to do but to hear that it knows.
    pub(crate) parting: Option<Instant>,
    /// The driver has ended.
    pub(crate) over: bool,
}

/// After so long without a controller none is expected to come.
const VACANCY: Duration = Duration::from_secs(1);

impl Link {
    /// When it is as good as certain that there will be no controller; `None`: there is one, or somebody is
    /// about to be it.
    pub(crate) fn hopeless_at(&self) -> Option<Instant> {
        Some(self.vacant? + VACANCY)
    }

    /// Whether it is.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.hopeless_at().is_some_and(|at| Instant::now() >= at)
    }
}

/// Where the endpoint stands.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not on the bus yet.
    #[default]
    Joining,
    /// On the bus.
    Member,
    /// On the bus, which has no controller at the moment.
    Orphaned,
    /// Not on the bus, for good.
    Lost(Fate),
}

/// Why an endpoint is not on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Version(Version),
    Token,
    Foreign(u32),
    Permission,
    Obstructed(Obstacle),
    Refused(String),
    /// What the system said, as text and as error number.
    Resources(String, Option<i32>),
}

impl From<Fate> for JoinError {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Version(version) => Self::VersionMismatch(version),
            Fate::Token => Self::TokenMismatch,
            Fate::Foreign(uid) => Self::ForeignController { uid },
            Fate::Permission => Self::PermissionDenied,
            Fate::Obstructed(obstacle) => Self::Obstructed(obstacle),
            Fate::Refused(why) => Self::Refused(why),
            Fate::Resources(_, Some(code)) => Self::Resources(io::Error::from_raw_os_error(code)),
            Fate::Resources(why, None) => Self::Resources(io::Error::other(why)),
        }
    }
}

/// A channel on which control messages go out, whatever their size and however slowly the other
/// side reads.
pub(crate) struct Pipe {
    channel: Arc<Channel>,
    queue: VecDeque<(Vec<u8>, Vec<OwnedObject>)>,
    queued: usize,
    queued_objects: usize,
}

/// What became of what was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// It is out.
    All,
    /// Some is kept until the other side has read.
    Full,
    /// Some is kept until the system has what it lacks. Nothing announces that, and the channel may be
    /// writable all the while: to wait for that would be to spin.
    Lacking,
}

/// The other side has closed the channel.
#[derive(Debug)]
pub(crate) struct Broken;

impl Pipe {
    pub(crate) fn new(channel: Arc<Channel>) -> Self {
        Self {
            channel,
            queue: VecDeque::new(),
            queued: 0,
            queued_objects: 0,
        }
    }

    pub(crate) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Bytes that wait for the other side to read.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Objects that wait with them.
    pub(crate) fn queued_objects(&self) -> usize {
        self.queued_objects
    }

    /// Sends a message; what does not fit now is kept.
    pub(crate) fn send(
        &mut self,
        message: &[u8],
        objects: Vec<OwnedObject>,
    ) -> Result<Flushed, Broken> {
        let mut objects = objects.into_iter();
        // One byte less than the most, for the packet's own header.
        for packet in Framer::split(message, objects.len(), MAX_PACKET, MAX_OBJECTS) {
            let bytes = packet.packet(message);
            let attached: Vec<_> = objects.by_ref().take(packet.objects.len()).collect();
            self.queued += bytes.len();
            self.queued_objects += attached.len();
            self.queue.push_back((bytes, attached));
        }
        self.flush()
    }

    /// Sends a packet as it is.
    pub(crate) fn send_raw(&mut self, packet: Vec<u8>) -> Result<Flushed, Broken> {
        self.queued += packet.len();
        self.queue.push_back((packet, Vec::new()));
        self.flush()
    }

    /// Sends what is kept.
    pub(crate) fn flush(&mut self) -> Result<Flushed, Broken> {
        while let Some((bytes, objects)) = self.queue.front() {
            let borrowed: Vec<_> = objects.iter().map(AsFd::as_fd).collect();
            match self.channel.try_send(bytes, &borrowed) {
                Ok(()) => {
                    self.queued -= bytes.len();
                    self.queued_objects -= objects.len();
                    self.queue.pop_front();
                }
                Err(ChannelSendError::Full) => return Ok(Flushed::Full),
                Err(ChannelSendError::TooManyInFlight) => return Ok(Flushed::Lacking),
                Err(ChannelSendError::Disconnected) => return Err(Broken),
                Err(ChannelSendError::Io(error)) if is_lack(&error) => return Ok(Flushed::Lacking),
                Err(error) => {
                    tracing::warn!(%error, "a control message cannot be sent");
                    return Err(Broken);
                }
            }
        }
        Ok(Flushed::All)
    }
}

#[cfg(test)]
mod tests {
    use super::{Link, VACANCY};
    use std::time::{Duration, Instant};

    #[test]
    fn a_controller_is_expected_for_a_while_after_the_last() {
        let mut link = Link::default();
        assert!(link.hopeless_at().is_none() && !link.is_hopeless());
        let now = Instant::now();
        link.vacant = Some(now);
        assert!(link.hopeless_at().is_some_and(|at| at >= now + VACANCY));
        link.vacant = now.checked_sub(VACANCY + Duration::from_millis(1));
        assert!(link.is_hopeless());
        link.vacant = None;
        assert!(!link.is_hopeless());
    }
}

//! Packets with objects between two processes. (unix(7), `SOCK_SEQPACKET`, `SCM_RIGHTS`)

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::event::PollFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use super::poller::wait_for;
use super::{BorrowedObject, Credentials, ForkGuard, OwnedObject, call, several};

/// Most bytes in one packet.
pub const MAX_PACKET: usize = 32 * 1024;
/// Most objects in one packet (`SCM_MAX_FD`).
pub const MAX_OBJECTS: usize = 253;

/// One end of a connection that carries packets with objects, in order, both ways.
///
/// Never blocks, whatever the peer does; wait with a [`Poller`](super::Poller),
/// [`wait_readable`](super::wait_readable) or [`wait_writable`](super::wait_writable). All methods
/// may be called from several threads: packets are sent whole, in some order, and each is received
/// by one thread.
#[derive(Debug)]
pub struct Channel {
    // Before the socket, so that it is dropped before.
    guard: ForkGuard,
    socket: OwnedFd,
    receiving: Mutex<Receiving>,
}

/// Receiving takes two calls that belong together: for whoever makes them.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    /// Whether a look at packets goes on behind those that were looked at and not removed.
    counts_peeks: bool,
}

impl Receiving {
    /// Lets a look at several packets be one at the first ones. False: that cannot be had.
    pub(super) fn count_peeks(&mut self, channel: &Channel) -> bool {
        self.counts_peeks = self.counts_peeks || several::set_peek_offset(channel.as_fd(), 0);
        self.counts_peeks
    }

    /// To be called when packets were looked at and not removed.
    pub(super) fn forget_peeks(&mut self, channel: &Channel) {
        if self.counts_peeks {
            self.counts_peeks = several::set_peek_offset(channel.as_fd(), 0);
        }
    }
}

/// Why a packet was not sent. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelSendError {
    /// The peer has to receive first.
    #[error("the channel is full: wait until it is writable and send again")]
    Full,
    /// Too many objects of this user are on their way and not received (`RLIMIT_NOFILE`).
    #[error("too many objects are in flight: send again when peers have received theirs")]
    TooManyInFlight,
    /// The peer closed the channel or died.
    #[error("the peer is gone: drop the channel")]
    Disconnected,
    /// Anything else; `InvalidInput` for a packet of no bytes, or of too many bytes or objects.
    #[error("the packet could not be sent: {0}")]
    Io(#[from] io::Error),
}

/// Why no packet was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelRecvError {
    /// Nothing has arrived, or another thread is receiving it.
    #[error("nothing has arrived: wait until the channel is readable")]
    Empty,
    /// The peer closed the channel or died, and all that it sent before was received.
    #[error("the peer is gone: drop the channel")]
    Disconnected,
    /// The next packet carries more objects than this process has descriptors left (or one that a
    /// security policy keeps from us). It stays where it is, and nothing is lost.
    #[error(
        "no descriptors are left for the objects of the next packet: close some or raise RLIMIT_NOFILE"
    )]
    NoDescriptors,
    /// The peer broke the rules of this channel. The packet was thrown away, its objects closed.
    #[error("the peer sent a malformed packet: disconnect it")]
    Malformed,
    /// Anything else.
    #[error("no packet could be received: {0}")]
    Io(#[from] io::Error),
}

/// Every packet begins with the number of its objects (little-endian), so that their loss shows.
pub(super) const HEADER_LEN: usize = 2;

impl Channel {
    /// Two ends connected to each other, one of them to be sent to a peer.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (a, b) = call::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags)?;
        Ok((a.into(), b.into()))
    }

    /// Takes a channel that a peer sent, once it is [examined](Self::examine).
    pub fn from_object(object: OwnedObject) -> io::Result<Self> {
        Self::examine(object.as_fd())?;
        Ok(object.into())
    }

    /// Whether what a peer sent is a channel; `InvalidInput` if it is something else.
    pub fn examine(object: BorrowedFd<'_>) -> io::Result<()> {
        match call::domain_and_type(object) {
            Ok((AddressFamily::UNIX, SocketType::SEQPACKET)) => Ok(()),
            Ok(_) | Err(Errno::NOTSOCK) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the object is no channel (seqpacket socket): disconnect the peer that sent it",
            )),
            Err(e) => Err(e.into()),
        }
    }

    /// Sends one packet: 1 to [`MAX_PACKET`] bytes and at most [`MAX_OBJECTS`] objects, which stay
    /// the caller's.
    pub fn try_send(
        &self,
        bytes: &[u8],
        objects: &[BorrowedObject<'_>],
    ) -> Result<(), ChannelSendError> {
        if !(1..=MAX_PACKET).contains(&bytes.len()) || objects.len() > MAX_OBJECTS {
            return Err(ChannelSendError::Io(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "a packet has 1 to {MAX_PACKET} bytes and up to {MAX_OBJECTS} objects: split it"
                ),
            )));
        }
        let count = (objects.len() as u16).to_le_bytes();
        let parts = [IoSlice::new(&count), IoSlice::new(bytes)];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_OBJECTS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !objects.is_empty() {
            // The space is that of the most objects, so there is room.
            control.push(SendAncillaryMessage::ScmRights(objects));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match retry_on_intr(|| call::sendmsg(&self.socket, &parts, &mut control, flags)) {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN) => Err(ChannelSendError::Full),
            Err(Errno::TOOMANYREFS) => Err(ChannelSendError::TooManyInFlight),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                Err(ChannelSendError::Disconnected)
            }
            Err(e) => Err(ChannelSendError::Io(e.into())),
        }
    }

    /// Receives one packet. `buf` is replaced by its bytes, its objects are added to `objects`; on
    /// an error `buf` is empty and `objects` as it was.
    pub fn try_recv(
        &self,
        buf: &mut Vec<u8>,
        objects: &mut Vec<OwnedObject>,
    ) -> Result<(), ChannelRecvError> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_OBJECTS))];
        self.recv(buf, objects, &mut space)
    }

    /// As [`try_recv`](Self::try_recv), from a peer that has no business to send objects: a packet
    /// with some is [`Malformed`](ChannelRecvError::Malformed), and none enters this process.
    pub fn try_recv_plain(&self, buf: &mut Vec<u8>) -> Result<(), ChannelRecvError> {
        self.recv(buf, &mut Vec::new(), &mut [])
    }

    /// The peer's process, as it was when the channel was made: for a pair its creator, for the
    /// end that connected the process that listens, and the other way round.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        Credentials::of_peer(self.socket.as_fd())
    }

    /// Whether the peer is gone. There may still be packets to receive.
    pub fn is_disconnected(&self) -> bool {
        wait_for(
            self.socket.as_fd(),
            PollFlags::empty(),
            Some(Duration::ZERO),
        )
        .is_ok_and(|found| found.intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// Looks at the packet and takes copies of its objects, and only when all is there removes it
    /// from the queue, with the originals. In one step, the kernel would drop what the process has
    /// no descriptors for.
    fn recv(
        &self,
        buf: &mut Vec<u8>,
        objects: &mut Vec<OwnedObject>,
        space: &mut [MaybeUninit<u8>],
    ) -> Result<(), ChannelRecvError> {
        buf.clear();
        let mut receiving = self.start_receiving()?;
        let objects_allowed = !space.is_empty();
        let before = objects.len();
        let judged = self
            .peek(buf, objects, space)
            .and_then(|packet| judge(packet, objects.len() - before, objects_allowed));
        let result = match judged {
            Ok(_) => self.discard(1).map(drop),
            Err(ChannelRecvError::Malformed) => {
                self.discard(1).and(Err(ChannelRecvError::Malformed))
            }
            Err(e) => Err(e),
        };
        if result.is_err() {
            receiving.forget_peeks(self);
            buf.clear();
            objects.truncate(before);
        }
        result
    }

    pub(super) fn start_receiving(&self) -> Result<MutexGuard<'_, Receiving>, ChannelRecvError> {
        // A lock that waits could be one that a forked child waits for in vain.
        match self.receiving.try_lock() {
            Err(TryLockError::WouldBlock) => Err(ChannelRecvError::Empty),
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(guard)) => Ok(guard.into_inner()),
        }
    }

    fn peek(
        &self,
        buf: &mut Vec<u8>,
        objects: &mut Vec<OwnedObject>,
        space: &mut [MaybeUninit<u8>],
    ) -> Result<Packet, ChannelRecvError> {
        let mut count = [0; HEADER_LEN];
        buf.resize(MAX_PACKET, 0);
        let mut control = RecvAncillaryBuffer::new(space);
        let received = retry_recv(|| {
            let mut parts = [IoSliceMut::new(&mut count), IoSliceMut::new(buf)];
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            call::recvmsg(&self.socket, &mut parts, &mut control, flags)
        })?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(found) = message {
                objects.extend(found);
            }
        }
        buf.truncate(received.bytes.saturating_sub(HEADER_LEN));
        Ok(Packet {
            len: received.bytes,
            too_long: received.flags.contains(ReturnFlags::TRUNC),
            objects_stated: u16::from_le_bytes(count).into(),
            objects_missing: received.flags.contains(ReturnFlags::CTRUNC),
        })
    }

    /// Removes packets at the head of the queue, a few at most. Returns how many there were. Without
    /// room for bytes and objects, the kernel drops both.
    pub(super) fn discard(&self, count: usize) -> Result<usize, ChannelRecvError> {
        if count > 1 {
            return several::discard(self.as_fd(), count);
        }
        retry_recv(|| call::recv_nothing(&self.socket, RecvFlags::DONTWAIT))?;
        Ok(1)
    }
}

/// What the kernel said about a packet.
pub(super) struct Packet {
    pub(super) len: usize,
    pub(super) too_long: bool,
    pub(super) objects_stated: usize,
    pub(super) objects_missing: bool,
}

/// How many bytes it has, besides the header.
pub(super) fn judge(
    packet: Packet,
    arrived: usize,
    allowed: bool,
) -> Result<usize, ChannelRecvError> {
    if packet.len == 0 {
        // The end, or a packet of no bytes, which nobody sends who is worth listening to.
        return Err(ChannelRecvError::Disconnected);
    }
    if packet.len <= HEADER_LEN || packet.too_long || packet.objects_stated > MAX_OBJECTS {
        return Err(ChannelRecvError::Malformed);
    }
    if allowed && packet.objects_missing && arrived < packet.objects_stated {
        return Err(ChannelRecvError::NoDescriptors);
    }
    if packet.objects_missing || arrived != packet.objects_stated {
        return Err(ChannelRecvError::Malformed);
    }
    Ok(packet.len - HEADER_LEN)
}

/// A peer that dies before it has read all leaves ECONNRESET behind, once, *before* what it sent:
/// asked again, the socket gives that out, and then the end.
pub(super) fn retry_recv<T>(
    mut call: impl FnMut() -> Result<T, Errno>,
) -> Result<T, ChannelRecvError> {
    loop {
        return match call() {
            Ok(received) => Ok(received),
            Err(Errno::INTR | Errno::CONNRESET) => continue,
            Err(Errno::AGAIN) => Err(ChannelRecvError::Empty),
            Err(Errno::NOTCONN | Errno::PIPE) => Err(ChannelRecvError::Disconnected),
            Err(e) => Err(ChannelRecvError::Io(e.into())),
        };
    }
}

impl From<OwnedFd> for Channel {
    /// The descriptor has to be a seqpacket socket; see [`Channel::from_object`] if a peer sent it.
    fn from(socket: OwnedFd) -> Self {
        Self {
            guard: ForkGuard::guard(socket.as_fd()),
            socket,
            receiving: Mutex::default(),
        }
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        drop(channel.guard);
        channel.socket
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

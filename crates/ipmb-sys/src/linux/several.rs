//! Receiving several small packets at once. (recvmmsg(2); `SO_PEEK_OFF`, socket(7))

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Resource, getrlimit};

use super::OwnedObject;
use super::channel::{HEADER_LEN, MAX_OBJECTS, Packet, judge, retry_recv};
use super::{Channel, ChannelRecvError, call};

/// Most bytes in a packet for [`Channel::try_recv_small`].
pub const SMALL_PACKET: usize = 16;

/// Most packets at once.
const MOST: usize = 8;
/// Most objects in a packet that is taken along with the first.
const FEW: usize = 4;
/// With so many descriptors left, as far as one can see, packets are taken one by one.
const SPARE: u64 = 64;

/// A packet for which a small buffer is enough.
#[derive(Debug)]
pub struct SmallPacket {
    buffer: [u8; SMALL_PACKET],
    len: usize,
    objects: Vec<OwnedObject>,
}

impl SmallPacket {
    /// What was sent.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The objects that came along.
    pub fn into_objects(self) -> Vec<OwnedObject> {
        self.objects
    }
}

impl Channel {
    /// As [`try_recv`](Self::try_recv), where packets are known to be small: receives at least one, and
    /// up to `most` that have arrived, for little more than the price of one. A packet of more than
    /// [`SMALL_PACKET`] bytes is [`Malformed`](ChannelRecvError::Malformed).
    ///
    /// They are added to `packets`; on an error it is as it was. If a later packet has many objects, or
    /// if descriptors are scarce, it stays where it is for now.
    pub fn try_recv_small(
        &self,
        packets: &mut VecDeque<SmallPacket>,
        most: usize,
    ) -> Result<(), ChannelRecvError> {
        let mut receiving = self.start_receiving()?;
        let wanted = match most.min(MOST) {
            2.. if receiving.count_peeks(self) => most.min(MOST),
            _ => 1,
        };
        let before = packets.len();
        let (found, judged) = look(self.as_fd(), wanted, packets)?;
        if packets.len() > before + 1 && are_descriptors_scarce(packets.range(before + 1..)) {
            packets.truncate(before + 1);
        }
        let removed = match judged {
            Ok(()) => self.discard(packets.len() - before),
            Err(ChannelRecvError::Malformed) => {
                self.discard(1).and(Err(ChannelRecvError::Malformed))
            }
            Err(error) => Err(error),
        };
        let kept = *removed.as_ref().unwrap_or(&0);
        packets.truncate(before + kept);
        if kept != found {
            receiving.forget_peeks(self);
        }
        removed.map(drop)
    }
}

/// The kernel gives the lowest free number: the higher it is, the fewer there are.
fn are_descriptors_scarce<'a>(packets: impl Iterator<Item = &'a SmallPacket>) -> bool {
    let objects = packets.flat_map(|packet| &packet.objects);
    let highest = objects.map(|object| object.as_raw_fd()).max();
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    highest.is_some_and(|highest| highest as u64 + SPARE > limit)
}

/// Looks at up to `wanted` packets, and adds them to `packets`, with copies of their objects, up to the
/// first that is none. Returns how many there are, and what is wrong with the first one.
fn look(
    socket: BorrowedFd<'_>,
    wanted: usize,
    packets: &mut VecDeque<SmallPacket>,
) -> Result<(usize, Result<(), ChannelRecvError>), ChannelRecvError> {
    let mut counts = [[0; HEADER_LEN]; MOST];
    let mut buffers = [[0; SMALL_PACKET]; MOST];
    let mut parts = [[part(&mut []); 2]; MOST];
    let mut first_control = Control::<MAX_OBJECTS>::NEW;
    let mut controls = [Control::<FEW>::NEW; MOST - 1];
    let mut heads = no_heads();
    let controls =
        std::iter::once(first_control.room()).chain(controls.iter_mut().map(Control::room));
    let bytes = counts.iter_mut().zip(&mut buffers);
    for (((head, parts), (count, buffer)), (control, len)) in
        heads.iter_mut().zip(&mut parts).zip(bytes).zip(controls)
    {
        *parts = [part(count), part(buffer)];
        head.msg_hdr.msg_iov = parts.as_mut_ptr();
        head.msg_hdr.msg_iovlen = parts.len() as _;
        head.msg_hdr.msg_control = control;
        head.msg_hdr.msg_controllen = len as _;
    }
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let found = retry_recv(|| receive(socket, &mut heads[..wanted], flags))?;
    let (mut result, mut usable) = (Ok(()), true);
    let bytes = counts.iter().zip(buffers);
    for (index, (head, (count, buffer))) in heads.iter().zip(bytes).take(found).enumerate() {
        // Also of packets that are not wanted: they are ours to close.
        // SAFETY: the kernel has filled the head and the control data, which are still there, and
        // nobody has taken them yet.
        let objects = unsafe { take_objects(&head.msg_hdr) };
        let packet = Packet {
            len: head.msg_len as usize,
            too_long: head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            objects_stated: u16::from_le_bytes(*count).into(),
            objects_missing: head.msg_hdr.msg_flags & libc::MSG_CTRUNC != 0,
        };
        match judge(packet, objects.len(), true) {
            Ok(len) if usable => packets.push_back(SmallPacket {
                buffer,
                len,
                objects,
            }),
            Err(error) if index == 0 => (result, usable) = (Err(error), false),
            _ => usable = false,
        }
    }
    Ok((found, result))
}

/// Room for the header of control data and so many descriptors.
#[derive(Clone, Copy)]
#[repr(C)]
struct Control<const OBJECTS: usize> {
    header: MaybeUninit<libc::cmsghdr>,
    objects: [MaybeUninit<RawFd>; OBJECTS],
}

impl<const OBJECTS: usize> Control<OBJECTS> {
    const NEW: Self = Self {
        header: MaybeUninit::uninit(),
        objects: [MaybeUninit::uninit(); OBJECTS],
    };

    /// Where it is, and its length.
    fn room(&mut self) -> (*mut libc::c_void, usize) {
        ((&raw mut *self).cast(), size_of::<Self>())
    }
}

/// Takes over the objects that came with a packet.
///
/// # Safety
///
/// `head` is as the kernel left it, and so is its control data; not twice.
unsafe fn take_objects(head: &libc::msghdr) -> Vec<OwnedObject> {
    let mut objects = Vec::new();
    // SAFETY: the control data are there, and as long as the head says.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(head) };
    // SAFETY: null, or at a header within the control data.
    while let Some(control) = unsafe { header.as_ref() } {
        if (control.cmsg_level, control.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: arithmetic; and the data begin behind the header.
            let (empty, data) = unsafe { (libc::CMSG_LEN(0) as usize, libc::CMSG_DATA(control)) };
            #[allow(clippy::unnecessary_cast, reason = "not with every C library")]
            let len = (control.cmsg_len as usize).saturating_sub(empty);
            objects.extend((0..len / size_of::<RawFd>()).map(|index| {
                // SAFETY: within the data, which are descriptors that the kernel has just opened
                // for us; nobody else knows them.
                unsafe { OwnedFd::from_raw_fd(data.cast::<RawFd>().add(index).read_unaligned()) }
            }));
        }
        // SAFETY: as `CMSG_FIRSTHDR`; `control` is a header within the data.
        header = unsafe { libc::CMSG_NXTHDR(head, control) };
    }
    objects
}

/// Removes packets from the head of the queue, [`MOST`] of them at most. Returns how many.
pub(super) fn discard(socket: BorrowedFd<'_>, count: usize) -> Result<usize, ChannelRecvError> {
    let mut heads = no_heads();
    retry_recv(|| receive(socket, &mut heads[..count], libc::MSG_DONTWAIT))
}

/// What `SO_PEEK_OFF` is to be: a look at packets goes on behind those that were looked at, or (-1)
/// always begins at the first.
pub(super) fn set_peek_offset(socket: BorrowedFd<'_>, offset: libc::c_int) -> bool {
    // If a signal comes while another thread receives, it is not set yet.
    retry_on_intr(|| call::set_peek_offset(socket, offset)).is_ok()
}

fn receive(
    socket: BorrowedFd<'_>,
    heads: &mut [libc::mmsghdr],
    flags: libc::c_int,
) -> Result<usize, Errno> {
    // SAFETY: what the heads point to is live, or they are zero, so that there is room for nothing.
    unsafe { call::recvmmsg(socket, heads, flags) }
}

/// Memory for the kernel to write to.
fn part(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

fn no_heads() -> [libc::mmsghdr; MOST] {
    // SAFETY: structs of integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

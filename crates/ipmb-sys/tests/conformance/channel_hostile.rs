//! Channels whose peer breaks the rules.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ipmb_sys::{Channel, ChannelRecvError, MAX_OBJECTS, MAX_PACKET, SMALL_PACKET, wait_readable};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::process::PATIENCE;

/// The object is one end of a stream: when no copy is left, the other end hangs up.
fn send_raw(channel: &Channel, bytes: &[u8], objects: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_OBJECTS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !objects.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(objects)));
    }
    sendmsg(
        channel,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::DONTWAIT,
    )
    .unwrap();
}

#[test]
fn malformed_packets_are_thrown_away_with_their_objects() {
    let (a, b) = Channel::pair().unwrap();
    let too_long = [0; MAX_PACKET + 3];
    let cases: [(&[u8], usize); 7] = [
        (&[0], 0),           // no whole header
        (&[0, 0], 1),        // no bytes
        (&[0, 0, 7], 1),     // objects that were not announced
        (&[2, 0, 7], 1),     // fewer than announced
        (&[1, 0, 7], 2),     // more than announced
        (&[255, 255, 7], 0), // more than can be
        (&too_long, 1),
    ];
    for (bytes, objects) in cases {
        let (object, canary) = UnixStream::pair().unwrap();
        send_raw(&a, bytes, &vec![object.as_fd(); objects]);
        drop(object);
        let (mut buf, mut received) = (vec![1], Vec::new());
        let result = b.try_recv(&mut buf, &mut received);
        assert!(
            matches!(result, Err(ChannelRecvError::Malformed)),
            "{result:?}"
        );
        assert!(buf.is_empty() && received.is_empty());
        assert_closed(&canary);
    }
    a.try_send(b"still in step", &[]).unwrap();
    let mut buf = Vec::new();
    b.try_recv(&mut buf, &mut Vec::new()).unwrap();
    assert_eq!(buf, b"still in step");
}

#[test]
fn malformed_packets_behind_a_small_one_are_its_affair_no_more() {
    let (a, b) = Channel::pair().unwrap();
    let cases: [(&[u8], usize); 5] = [
        (&[0, 0], 1),
        (&[0, 0, 7], 1),
        (&[2, 0, 7], 1),
        (&[255, 255, 7], 0),
        (&[0; SMALL_PACKET + 3], 0), // too long for this way
    ];
    for (bytes, objects) in cases {
        let (object, canary) = UnixStream::pair().unwrap();
        a.try_send(b"good", &[object.as_fd()]).unwrap();
        send_raw(&a, bytes, &vec![object.as_fd(); objects]);
        a.try_send(b"next", &[]).unwrap();
        drop(object);
        let mut packets = VecDeque::new();
        b.try_recv_small(&mut packets, 8).unwrap();
        assert_eq!(packets.len(), 1);
        let result = b.try_recv_small(&mut packets, 8);
        assert!(
            matches!(result, Err(ChannelRecvError::Malformed)),
            "{result:?}"
        );
        b.try_recv_small(&mut packets, 8).unwrap();
        let bytes: Vec<&[u8]> = packets.iter().map(|it| it.bytes()).collect();
        assert_eq!(bytes, [b"good", b"next"]);
        drop(packets);
        assert_closed(&canary);
    }
}

#[test]
fn a_packet_of_no_bytes_is_the_end() {
    let (a, b) = Channel::pair().unwrap();
    let (object, canary) = UnixStream::pair().unwrap();
    send_raw(&a, &[], &[object.as_fd()]);
    drop(object);
    let mut received = Vec::new();
    let result = b.try_recv(&mut Vec::new(), &mut received);
    assert!(matches!(result, Err(ChannelRecvError::Disconnected)));
    assert!(received.is_empty());
    drop(b);
    assert_closed(&canary);
}

#[test]
fn plain_receiving_takes_no_objects() {
    let (a, b) = Channel::pair().unwrap();
    let (object, canary) = UnixStream::pair().unwrap();
    a.try_send(b"gift", &[object.as_fd()]).unwrap();
    a.try_send(b"plain", &[]).unwrap();
    drop(object);
    let mut buf = Vec::new();
    assert!(matches!(
        b.try_recv_plain(&mut buf),
        Err(ChannelRecvError::Malformed)
    ));
    assert_closed(&canary);
    b.try_recv_plain(&mut buf).unwrap();
    assert_eq!(buf, b"plain");
}

#[test]
fn only_channels_are_channels() {
    let (stream, _other) = UnixStream::pair().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for object in [OwnedFd::from(stream), OwnedFd::from(file)] {
        let error = Channel::from_object(object).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    let (a, b) = Channel::pair().unwrap();
    let b = Channel::from_object(b.into()).unwrap();
    a.try_send(b"x", &[]).unwrap();
    b.try_recv(&mut Vec::new(), &mut Vec::new()).unwrap();
}

fn assert_closed(canary: &UnixStream) {
    // Another test may be spawning a process, which has copies until its `exec`.
    assert!(
        wait_readable(canary.as_fd(), PATIENCE).unwrap(),
        "an object is still open"
    );
    let mut byte = [0];
    let end = std::io::Read::read(&mut &*canary, &mut byte);
    assert!(matches!(end, Ok(0)), "an object is still open: {end:?}");
}

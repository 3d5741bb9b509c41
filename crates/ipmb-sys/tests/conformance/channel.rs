//! Channels between members that keep the rules.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipmb_sys::{
    Channel, ChannelRecvError, ChannelSendError, Credentials, Doorbell, Heard, MAX_OBJECTS,
    MAX_PACKET, SMALL_PACKET, wait_readable, wait_writable,
};

use super::process::{Helper, PATIENCE, open_descriptors, set_descriptor_limit, starve};
use super::rendezvous::wait_for_hangup;

fn recv(channel: &Channel) -> Result<(Vec<u8>, Vec<OwnedFd>), ChannelRecvError> {
    let (mut bytes, mut objects) = (vec![9; 5], Vec::new());
    channel.try_recv(&mut bytes, &mut objects)?;
    Ok((bytes, objects))
}

#[test]
fn packets_arrive_whole_and_in_order() {
    let (a, b) = Channel::pair().unwrap();
    a.try_send(&[1], &[]).unwrap();
    a.try_send(&[2; MAX_PACKET], &[]).unwrap();
    b.try_send(b"back", &[]).unwrap();
    assert_eq!(recv(&b).unwrap().0, [1]);
    assert_eq!(recv(&b).unwrap().0, vec![2; MAX_PACKET]);
    assert!(matches!(recv(&b), Err(ChannelRecvError::Empty)));
    assert_eq!(recv(&a).unwrap().0, b"back");
}

/// The packets received at once: their bytes, and how many objects they came with.
fn recv_small(channel: &Channel, most: usize) -> Result<Vec<(Vec<u8>, usize)>, ChannelRecvError> {
    let mut packets = VecDeque::new();
    channel.try_recv_small(&mut packets, most)?;
    let packets = packets.into_iter();
    let packets = packets.map(|it| (it.bytes().to_vec(), it.into_objects().len()));
    Ok(packets.collect())
}

#[test]
fn several_small_packets_arrive_at_once() {
    let (a, b) = Channel::pair().unwrap();
    for number in 0..12_u8 {
        let bytes = [number; SMALL_PACKET];
        let objects = vec![b.as_fd(); usize::from(number % 3)];
        a.try_send(&bytes[..usize::from(number) + 1], &objects)
            .unwrap();
    }
    let packet = |number: u8| {
        (
            vec![number; usize::from(number) + 1],
            usize::from(number % 3),
        )
    };
    let packets = |numbers: std::ops::Range<u8>| numbers.map(packet).collect::<Vec<_>>();
    assert_eq!(recv_small(&b, 1).unwrap(), packets(0..1));
    assert_eq!(recv_small(&b, 3).unwrap(), packets(1..4));
    let (bytes, objects) = recv(&b).unwrap();
    assert_eq!((bytes, objects.len()), packet(4));
    assert_eq!(recv_small(&b, 2).unwrap(), packets(5..7));
    assert_eq!(recv_small(&b, 100).unwrap(), packets(7..12));
    assert!(matches!(recv_small(&b, 100), Err(ChannelRecvError::Empty)));
    a.try_send(&[1], &[]).unwrap();
    a.try_send(&[2], &[]).unwrap();
    drop(a);
    let last = recv_small(&b, 100).unwrap();
    assert_eq!(last, [(vec![1], 0), (vec![2], 0)]);
    let end = recv_small(&b, 100);
    assert!(matches!(end, Err(ChannelRecvError::Disconnected)));
}

#[test]
fn a_packet_with_many_objects_is_received_by_itself() {
    let (a, b) = Channel::pair().unwrap();
    for (number, objects) in [(1, 1), (2, MAX_OBJECTS), (3, 5), (4, 4)] {
        a.try_send(&[number], &vec![a.as_fd(); objects]).unwrap();
    }
    for expected in [
        vec![(vec![1], 1)],
        vec![(vec![2], MAX_OBJECTS)],
        vec![(vec![3], 5), (vec![4], 4)],
    ] {
        assert_eq!(recv_small(&b, 8).unwrap(), expected);
    }
}

#[test]
fn limits_are_the_callers_mistake() {
    let (a, _b) = Channel::pair().unwrap();
    let object = a.as_fd();
    let too_many = [object; MAX_OBJECTS + 1];
    for (bytes, objects) in [
        (&[][..], &[][..]),
        (&[0; MAX_PACKET + 1][..], &[][..]),
        (&[0][..], &too_many[..]),
    ] {
        let Err(ChannelSendError::Io(e)) = a.try_send(bytes, objects) else {
            panic!("accepted");
        };
        assert_eq!(e.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn as_many_objects_as_promised() {
    let (a, b) = Channel::pair().unwrap();
    let bells: Vec<Doorbell> = (0..MAX_OBJECTS)
        .map(|_| Doorbell::create().unwrap())
        .collect();
    let objects: Vec<BorrowedFd<'_>> = bells.iter().map(|bell| bell.as_fd()).collect();
    a.try_send(&[7; MAX_PACKET], &objects).unwrap();
    let mut received = vec![Doorbell::create().unwrap().into_object()];
    let mut bytes = Vec::new();
    b.try_recv(&mut bytes, &mut received).unwrap();
    assert_eq!(bytes, vec![7; MAX_PACKET]);
    assert_eq!(received.len(), 1 + MAX_OBJECTS, "added to what was there");
    for (bell, object) in bells.iter().zip(received.drain(1..)) {
        let flags = rustix::io::fcntl_getfd(&object).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let hearing = bell.hearing().unwrap();
        hearing.clear();
        Doorbell::from_object(object).unwrap().ring();
        let heard = hearing.wait(Some(std::time::Duration::ZERO)).unwrap();
        assert_eq!(heard, Heard::Kept, "in order");
    }
}

#[test]
fn full_is_not_disconnected() {
    let (a, b) = Channel::pair().unwrap();
    let mut sent = 0;
    let error = loop {
        match a.try_send(&[3; 4096], &[]) {
            Ok(()) => sent += 1,
            Err(e) => break e,
        }
    };
    assert!(matches!(error, ChannelSendError::Full));
    assert!(sent > 0 && !a.is_disconnected());
    for _ in 0..sent {
        recv(&b).unwrap();
    }
    assert!(wait_writable(a.as_fd(), PATIENCE).unwrap());
    a.try_send(&[4], &[]).unwrap();
    assert_eq!(recv(&b).unwrap().0, [4]);
}

#[test]
fn what_was_sent_before_the_end_arrives() {
    let (a, b) = Channel::pair().unwrap();
    // Unread by `b`, which makes the kernel report a reset before all else.
    a.try_send(b"unread", &[]).unwrap();
    b.try_send(b"one", &[a.as_fd()]).unwrap();
    b.try_send(b"two", &[]).unwrap();
    drop(b);
    wait_for_hangup(a.as_fd());
    assert!(a.is_disconnected());
    let (bytes, objects) = recv(&a).unwrap();
    assert_eq!((bytes.as_slice(), objects.len()), (&b"one"[..], 1));
    assert_eq!(recv(&a).unwrap().0, b"two");
    for _ in 0..2 {
        assert!(matches!(recv(&a), Err(ChannelRecvError::Disconnected)));
        assert!(matches!(
            a.try_send(b"x", &[]),
            Err(ChannelSendError::Disconnected)
        ));
    }
}

#[test]
fn received_by_one_thread_each() {
    const PACKETS: u32 = 2000;
    let (a, b) = Channel::pair().unwrap();
    let object = Doorbell::create().unwrap();
    let seen = std::thread::scope(|scope| {
        let receiver = || {
            let mut seen = Vec::new();
            loop {
                match recv(&b) {
                    Ok((bytes, objects)) => {
                        assert_eq!(objects.len(), 1);
                        seen.push(u32::from_le_bytes(bytes.try_into().unwrap()));
                    }
                    Err(ChannelRecvError::Empty) => {
                        wait_readable(b.as_fd(), PATIENCE).unwrap();
                    }
                    Err(_) => return seen,
                }
            }
        };
        let threads = [scope.spawn(receiver), scope.spawn(receiver)];
        for packet in 0..PACKETS {
            while a
                .try_send(&packet.to_le_bytes(), &[object.as_fd()])
                .is_err()
            {
                wait_writable(a.as_fd(), PATIENCE).unwrap();
            }
        }
        drop(a);
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().unwrap());
        }
        all
    });
    let mut sorted = seen;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..PACKETS).collect::<Vec<_>>());
}

#[test]
fn a_pair_tells_who_made_it() {
    let (a, b) = Channel::pair().unwrap();
    assert_eq!(a.peer_credentials().unwrap(), Credentials::current());
    assert_eq!(b.peer_credentials().unwrap(), Credentials::current());
}

#[test]
fn without_descriptors_nothing_is_lost() {
    Helper::spawn("channel_starved").succeed();
}

pub fn starved() {
    const OBJECTS: usize = 8;
    let (a, b) = Channel::pair().unwrap();
    let bell = Doorbell::create().unwrap();
    a.try_send(b"poor", &[bell.as_fd(); OBJECTS]).unwrap();
    a.try_send(b"next", &[]).unwrap();
    let before = open_descriptors();
    // What `open_descriptors` itself needs is among those few.
    for more in [1, 4, OBJECTS - 1] {
        let limit = starve(more);
        let before = open_descriptors();
        for _ in 0..3 {
            assert!(matches!(recv(&b), Err(ChannelRecvError::NoDescriptors)));
        }
        assert_eq!(
            open_descriptors(),
            before,
            "what could be had was given back"
        );
        set_descriptor_limit(&limit);
    }
    let (bytes, objects) = recv(&b).unwrap();
    assert_eq!((bytes.as_slice(), objects.len()), (&b"poor"[..], OBJECTS));
    drop(objects);
    assert!(open_descriptors() >= before);
    assert_eq!(recv(&b).unwrap().0, b"next");
    several_starved(&a, &b);
}

/// What is not needed yet is left where it is, in the order in which it was sent.
fn several_starved(a: &Channel, b: &Channel) {
    for number in 0..4 {
        a.try_send(&[number], &[a.as_fd(); 3]).unwrap();
    }
    let limit = starve(2);
    let result = recv_small(b, 8);
    assert!(matches!(result, Err(ChannelRecvError::NoDescriptors)));
    set_descriptor_limit(&limit);
    // For one and a half; and for two, but what is left then is not much.
    for (number, more) in [(0, 4), (1, 7)] {
        let limit = starve(more);
        let before = open_descriptors();
        assert_eq!(recv_small(b, 8).unwrap(), [(vec![number], 3)]);
        assert_eq!(open_descriptors(), before);
        set_descriptor_limit(&limit);
    }
    let rest = recv_small(b, 8).unwrap();
    assert_eq!(rest, [(vec![2], 3), (vec![3], 3)]);
}

#[test]
fn too_many_in_flight_is_not_disconnected() {
    Helper::spawn_as_nobody("channel_in_flight").succeed();
}

pub fn in_flight() {
    let (a, b) = Channel::pair().unwrap();
    let (c, d) = Channel::pair().unwrap();
    starve(40);
    let objects = [a.as_fd(); 20];
    let mut sent = [0, 0];
    'fill: loop {
        for (sent, channel) in sent.iter_mut().zip([&a, &c]) {
            match channel.try_send(b"x", &objects) {
                Ok(()) => *sent += 1,
                Err(ChannelSendError::TooManyInFlight) => break 'fill,
                Err(e) => panic!("{e}"),
            }
        }
    }
    assert!(!a.is_disconnected());
    for (sent, channel) in sent.into_iter().zip([&b, &d]) {
        for _ in 0..sent {
            assert_eq!(recv(channel).unwrap().1.len(), objects.len());
        }
    }
    a.try_send(b"x", &objects).unwrap();
}

//! What those need who do not keep to the protocol: raw sockets, and garbage.

use ipmb_core::Credential;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType};
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

/// The one that [`options`](crate::options) take.
pub const IDENTIFIER: &str = "com.example.tests";

/// Between two connections of one stranger.
pub const PAUSE: Duration = Duration::from_millis(1);

/// Each packet begins with the number of its objects.
const HEADER_LEN: usize = 2;

/// Where the socket of a bus is.
pub fn socket(directory: &Path, identifier: &str) -> PathBuf {
    let key = u128::from_be_bytes(Credential::new(identifier, "").file_key());
    directory.join(format!("{key:032x}.sock"))
}

/// Connects to whoever serves on a socket; waits while they are busy.
pub fn connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let socket = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Serves on a socket.
pub fn serve(path: &Path) -> OwnedFd {
    let listener = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None);
    let listener = listener.expect("a free descriptor");
    let address = SocketAddrUnix::new(path).expect("a short path");
    net::bind(&listener, &address).expect("the name is free");
    net::listen(&listener, 64).expect("it is bound");
    listener
}

/// Sends a packet as a channel does that has no objects to send.
pub fn send(socket: &OwnedFd, packet: &[u8]) -> rustix::io::Result<usize> {
    let framed = [&[0; HEADER_LEN], packet].concat();
    net::send(socket, &framed, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

/// Receives a packet; an empty one if the other side has closed the connection.
pub fn receive(socket: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
    let mut packet = [0; 4096];
    let (length, _) = net::recv(socket, &mut packet[..], RecvFlags::empty())?;
    Ok(packet[..length]
        .get(HEADER_LEN..)
        .unwrap_or_default()
        .to_vec())
}

/// Some bytes, some of which begin as a packet should. The same for the same seed.
pub fn garbage(seed: &mut u64) -> Vec<u8> {
    let mut next = || {
        // Steele, Lea and Flood's SplitMix64.
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let length = next() % 2000;
    let mut bytes: Vec<u8> = (0..length).map(|_| next() as u8).collect();
    if length > 10 && length % 2 == 0 {
        bytes[..4].copy_from_slice(b"ipmb");
        bytes[4] %= 5;
        bytes[5..10].copy_from_slice(&[1, 0, 0, 9, 0]);
    }
    bytes
}

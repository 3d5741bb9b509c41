//! ipmb 0.8.5 and ours, as far as they have the same to offer.

use crate::Result;
use rustix::net::SocketAddrUnix;
use std::{fs, os::fd::IntoRawFd, os::fd::OwnedFd, path::Path, time::Duration};

pub(super) const OLD: &str = "ipmb-0.8.5";
pub(super) const NEW: &str = "ipmb";
pub(super) const NAMES: [&str; 2] = [OLD, NEW];

/// How an endpoint joins.
pub(super) struct Seat<'a> {
    /// A directory of this scene alone.
    pub(super) place: &'a Path,
    pub(super) label: &'a str,
    pub(super) token: &'a str,
    pub(super) affinity: bool,
    pub(super) patience: Duration,
}

/// What came with a message.
pub(super) struct Received {
    pub(super) bytes: usize,
    pub(super) objects: usize,
}

pub(super) trait System {
    type Sender: Clone + Send + 'static;
    type Receiver: Send + 'static;

    fn join(seat: &Seat<'_>) -> Result<(Self::Sender, Self::Receiver)>;

    fn send(
        sender: &Self::Sender,
        to: &str,
        data: Vec<u8>,
        objects: Vec<OwnedFd>,
        ttl: Duration,
    ) -> Result<()>;

    fn receive(receiver: &mut Self::Receiver, patience: Duration) -> Result<Received>;
}

pub(super) struct Old;
pub(super) struct New;

impl System for Old {
    type Sender = ipmb08::EndpointSender<ipmb08::BytesMessage>;
    type Receiver = ipmb08::EndpointReceiver<ipmb08::BytesMessage>;

    fn join(seat: &Seat<'_>) -> Result<(Self::Sender, Self::Receiver)> {
        let label = ipmb08::Label::from([seat.label]);
        let mut options = ipmb08::Options::new(name(seat.place), label, seat.token);
        options.controller_affinity = seat.affinity;
        ipmb08::join(options, Some(seat.patience)).map_err(|it| it.to_string().into())
    }

    fn send(
        sender: &Self::Sender,
        to: &str,
        data: Vec<u8>,
        objects: Vec<OwnedFd>,
        ttl: Duration,
    ) -> Result<()> {
        let mut selector = ipmb08::Selector::unicast(to);
        selector.ttl = ttl;
        let payload = ipmb08::BytesMessage { format: 0, data };
        let mut message = ipmb08::Message::new(selector, payload);
        let objects = objects.into_iter().map(IntoRawFd::into_raw_fd);
        // SAFETY: each was ours, and has just been given up.
        let objects = objects.map(|it| unsafe { ipmb08::Object::from_raw(it) });
        message.objects.extend(objects);
        sender.send(message).map_err(|it| it.to_string().into())
    }

    fn receive(receiver: &mut Self::Receiver, patience: Duration) -> Result<Received> {
        let message = receiver.recv(Some(patience)).map_err(|it| it.to_string())?;
        Ok(Received {
            bytes: message.payload.data.len(),
            objects: message.objects.len(),
        })
    }
}

impl System for New {
    type Sender = ipmb::EndpointSender<ipmb::BytesMessage>;
    type Receiver = ipmb::EndpointReceiver<ipmb::BytesMessage>;

    fn join(seat: &Seat<'_>) -> Result<(Self::Sender, Self::Receiver)> {
        let label = ipmb::Label::from([seat.label]);
        let options = ipmb::Options::new(name(seat.place), label, seat.token)
            .with_runtime_directory(seat.place.join("bus"))
            .with_controller_affinity(seat.affinity);
        Ok(ipmb::join(options, Some(seat.patience))?)
    }

    fn send(
        sender: &Self::Sender,
        to: &str,
        data: Vec<u8>,
        objects: Vec<OwnedFd>,
        ttl: Duration,
    ) -> Result<()> {
        let mut selector = ipmb::Selector::unicast(to);
        selector.ttl = ttl;
        let payload = ipmb::BytesMessage { format: 0, data };
        let mut message = ipmb::Message::new(selector, payload);
        message.objects = objects.into_iter().map(Into::into).collect();
        Ok(sender.send(message)?)
    }

    fn receive(receiver: &mut Self::Receiver, patience: Duration) -> Result<Received> {
        let message = receiver.recv(Some(patience))?;
        Ok(Received {
            bytes: message.payload.data.len(),
            objects: message.objects.len(),
        })
    }
}

/// Where the bus of a scene is served, or would be.
pub(super) fn address(system: &str, place: &Path) -> Result<SocketAddrUnix> {
    if system == OLD {
        // Of an abstract name it takes all bytes, zeros too.
        let mut abstract_name = name(place).into_bytes();
        abstract_name.resize(107, 0);
        return Ok(SocketAddrUnix::new_abstract_name(&abstract_name)?);
    }
    // The lock file stays, and has the same name.
    let mut files = fs::read_dir(place.join("bus"))?.flatten();
    let lock = files.find(|it| it.path().extension().is_some_and(|end| end == "lock"));
    let lock = lock.ok_or("nobody has ever joined")?;
    Ok(SocketAddrUnix::new(lock.path().with_extension("sock"))?)
}

/// The name of the bus: for 0.8.5 it has to be one of the whole machine, and short.
fn name(place: &Path) -> String {
    place.to_string_lossy().into_owned()
}

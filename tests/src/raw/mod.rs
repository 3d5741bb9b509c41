//! A member that speaks the protocol by itself, and so can lie in every byte of it.

mod dice;
pub mod mark;
mod pair;

pub use dice::Dice;
pub use pair::{Lane, Pair, Shared, packet};

use crate::bad;
use ipmb_core::{
    Assembler, Credential, Directory, EndpointId, Framer, Greeter, GreeterStep, Label, LabelOp,
    Overflow, ReceiveLimits, Record, SelectorMode, ToController, ToMember,
};
use ipmb_lane::{LogRead, LogReader, READY_LEN};
use ipmb_sys::{
    Access, Channel, ChannelRecvError, Doorbell, MAX_OBJECTS, MAX_PACKET, OwnedObject, Purpose,
    create_memory, map_memory, page_size, wait_readable, wait_writable,
};
use std::{
    io,
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

/// More than any answer takes; and who is cut off gets none.
const PATIENCE: Duration = Duration::from_secs(20);

/// The token that [`options`](crate::options) take.
const TOKEN: &str = "token";

/// A member without a library around it.
pub struct Raw {
    /// To the controller.
    pub channel: Channel,
    /// Its own id.
    pub id: EndpointId,
    /// What came with the welcome: the directory and the beacon.
    pub directory: OwnedObject,
    /// See there.
    pub beacon: OwnedObject,
    assembler: Assembler,
    objects: Vec<OwnedObject>,
}

/// What an endpoint registers with.
pub struct Belongings {
    /// In the order of the protocol: doorbell, inbox page, ready set.
    pub objects: [OwnedObject; 3],
}

impl Belongings {
    /// What an honest endpoint has.
    ///
    /// # Errors
    ///
    /// For want of descriptors or memory.
    pub fn honest() -> io::Result<Self> {
        let (page, _) = create_memory(Purpose::Published, page_size(), false)?;
        let (ready, _) = create_memory(Purpose::Shared, READY_LEN, false)?;
        let doorbell = Doorbell::create()?.into_object();
        Ok(Self {
            objects: [doorbell, page, ready],
        })
    }
}

/// Why something did not work; for a report.
pub type Failure = Box<dyn std::error::Error>;

impl Raw {
    /// Joins as an honest endpoint does.
    ///
    /// # Errors
    ///
    /// It was refused, or cut off.
    pub fn join(directory: &Path, label: &str, id: u64) -> Result<Self, Failure> {
        Self::join_with(directory, Label::from([label]), id, Belongings::honest()?)
    }

    /// Joins with certain objects.
    ///
    /// # Errors
    ///
    /// It was refused, or cut off.
    pub fn join_with(
        directory: &Path,
        label: Label,
        id: u64,
        belongings: Belongings,
    ) -> Result<Self, Failure> {
        let channel = admitted(directory)?;
        register(&channel, label, id, belongings)?;
        let mut talk = Talk::new();
        loop {
            match talk.hear(&channel, PATIENCE)? {
                Some((ToMember::Welcome { .. }, objects)) => {
                    let [directory, beacon] =
                        <[_; 2]>::try_from(objects).map_err(|_| "a welcome without objects")?;
                    return Ok(Self {
                        channel,
                        id: EndpointId(id),
                        directory,
                        beacon,
                        assembler: talk.assembler,
                        objects: talk.objects,
                    });
                }
                Some((ToMember::Deliver { .. }, _)) => {}
                Some((other, _)) => return Err(format!("no welcome but {other:?}").into()),
                None => return Err("no welcome in time".into()),
            }
        }
    }

    /// Says something to the controller. Waits while the controller is behind.
    ///
    /// # Errors
    ///
    /// It was cut off.
    pub fn say(&self, message: &ToController, objects: &[OwnedObject]) -> Result<(), Failure> {
        say(&self.channel, &message.encode(), objects)
    }

    /// What the controller says next; `None`: nothing in that time.
    ///
    /// # Errors
    ///
    /// It was cut off.
    pub fn hear(
        &mut self,
        patience: Duration,
    ) -> Result<Option<(ToMember, Vec<OwnedObject>)>, Failure> {
        let mut talk = Talk {
            assembler: self.assembler.clone(),
            objects: std::mem::take(&mut self.objects),
        };
        let heard = talk.hear(&self.channel, patience);
        self.assembler = talk.assembler;
        self.objects = talk.objects;
        heard
    }

    /// Everybody on the bus.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn everybody(&self) -> Result<Directory, Failure> {
        let mut found = Directory::default();
        found.apply_snapshot(self.history()?);
        Ok(found)
    }

    /// Who came and went, as far back as the directory says.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn history(&self) -> Result<Vec<Record>, Failure> {
        let mapping = map_memory(self.directory.as_fd(), Access::ReadOnly, 1..=usize::MAX)?;
        let mut log = LogReader::attach(Shared::new(mapping))?;
        let mut records = Vec::new();
        match log.read(&mut records) {
            Ok(LogRead::Unchanged) => Ok(Vec::new()),
            _ => Ok(records.iter().flat_map(|it| Record::decode(it)).collect()),
        }
    }

    /// Somebody with that label.
    ///
    /// # Errors
    ///
    /// There is nobody.
    pub fn find(&self, label: &str) -> Result<EndpointId, Failure> {
        let everybody = self.everybody()?;
        let found = everybody.matching(&LabelOp::from(label), SelectorMode::Unicast);
        Ok(*found.first().ok_or("nobody has the label")?)
    }

    /// Asks for an introduction, and says hello.
    ///
    /// # Errors
    ///
    /// It was cut off, or the peer has left.
    pub fn meet(&mut self, peer: EndpointId, again: bool) -> Result<Pair, Failure> {
        let after = if again { u64::MAX } else { 0 };
        self.say(&ToController::Introduce { peer, after }, &[])?;
        let end = Instant::now() + PATIENCE;
        while let Some((message, objects)) =
            self.hear(end.saturating_duration_since(Instant::now()))?
        {
            match message {
                ToMember::Introduced { peer: whom, .. } if whom == peer => {
                    return Pair::new(objects);
                }
                ToMember::NoSuchPeer { peer: whom } if whom == peer => {
                    return Err("the peer is gone".into());
                }
                _ => {}
            }
        }
        Err("no introduction in time".into())
    }
}

/// What is heard but not complete.
struct Talk {
    assembler: Assembler,
    objects: Vec<OwnedObject>,
}

impl Talk {
    fn new() -> Self {
        Self {
            assembler: Assembler::new(16 << 20, 8192),
            objects: Vec::new(),
        }
    }

    fn hear(
        &mut self,
        channel: &Channel,
        patience: Duration,
    ) -> Result<Option<(ToMember, Vec<OwnedObject>)>, Failure> {
        let end = Instant::now() + patience;
        loop {
            let (mut bytes, mut objects) = (Vec::new(), Vec::new());
            match channel.try_recv(&mut bytes, &mut objects) {
                Ok(()) => {}
                Err(ChannelRecvError::Empty) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() || !wait_readable(channel.as_fd(), Some(left))? {
                        return Ok(None);
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let count = objects.len();
            self.objects.append(&mut objects);
            if let Some((message, count)) = self.assembler.push(&bytes, count)? {
                let rest = self.objects.split_off(count);
                let objects = std::mem::replace(&mut self.objects, rest);
                return Ok(Some((ToMember::decode(&message)?, objects)));
            }
        }
    }
}

/// A connection on which the token was proven.
///
/// # Errors
///
/// Nobody serves, or does not let us in.
pub fn admitted(directory: &Path) -> Result<Channel, Failure> {
    let path = bad::socket(directory, bad::IDENTIFIER);
    let channel = Channel::from(bad::connect(&path)?);
    let credential = Credential::new(bad::IDENTIFIER, TOKEN);
    let mut nonce = [0; 32];
    ipmb_sys::random(&mut nonce)?;
    let (mut greeter, hello) = Greeter::start(&credential, nonce);
    channel.try_send(&hello, &[])?;
    let mut challenge = Vec::new();
    while let Err(error) = channel.try_recv_plain(&mut challenge) {
        if !matches!(error, ChannelRecvError::Empty)
            || !wait_readable(channel.as_fd(), Some(PATIENCE))?
        {
            return Err(error.into());
        }
    }
    let GreeterStep::Send(proof) = greeter.handle(&challenge)? else {
        return Err("the handshake has another step".into());
    };
    channel.try_send(&proof, &[])?;
    Ok(channel)
}

/// Asks to be let in, on a connection on which the token was proven.
///
/// # Errors
///
/// The other side closed the connection, or does not read for long.
pub fn register(
    channel: &Channel,
    label: Label,
    id: u64,
    belongings: Belongings,
) -> Result<(), Failure> {
    let register = ToController::Register {
        id: EndpointId(id),
        label,
        limits: ReceiveLimits {
            message: 1 << 20,
            budget: 1 << 20,
            overflow: Overflow::DropNewest,
        },
        receiving: true,
        survivor: None,
    };
    say(channel, &register.encode(), &belongings.objects)
}

/// Sends a control message, whatever it is.
///
/// # Errors
///
/// The other side closed the connection, or does not read for long.
pub fn say(channel: &Channel, message: &[u8], objects: &[OwnedObject]) -> Result<(), Failure> {
    use ipmb_sys::ChannelSendError::{Full, TooManyInFlight};
    for plan in Framer::split(message, objects.len(), MAX_PACKET, MAX_OBJECTS) {
        let borrowed: Vec<_> = (objects[plan.objects.clone()].iter())
            .map(AsFd::as_fd)
            .collect();
        let packet = plan.packet(message);
        let end = Instant::now() + PATIENCE;
        loop {
            match channel.try_send(&packet, &borrowed) {
                Ok(()) => break,
                Err(Full | TooManyInFlight) if Instant::now() < end => {
                    wait_writable(channel.as_fd(), Some(Duration::from_millis(10)))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

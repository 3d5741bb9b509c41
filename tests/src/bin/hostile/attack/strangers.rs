//! What those can do who do not have the token.

use super::{Scene, patiently};
use ipmb::{JoinError, label};
use ipmb_core::{Credential, Greeter, GreeterStep};
use ipmb_sys::{Doorbell, wait_readable};
use ipmb_tests::{
    Bus, bad, options,
    raw::{Failure, Raw},
};
use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::Duration,
};

/// How many connections are kept open behind the one in use.
const KEPT: usize = 100;
const PATIENCE: Duration = Duration::from_millis(200);

/// Connections that are not hung up at once.
#[derive(Default)]
struct Kept(VecDeque<OwnedFd>);

impl Kept {
    fn push(&mut self, connection: OwnedFd) {
        self.0.push_back(connection);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }
}

fn connect(scene: &Scene) -> Result<OwnedFd, Failure> {
    Ok(bad::connect(&bad::socket(
        &scene.directory,
        bad::IDENTIFIER,
    ))?)
}

fn credential(token: &str) -> Credential {
    Credential::new(bad::IDENTIFIER, token)
}

/// The answer, if one comes.
fn answer(connection: &OwnedFd) -> Vec<u8> {
    match wait_readable(connection.as_fd(), Some(PATIENCE)) {
        Ok(true) => bad::receive(connection).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// A real handshake, in which one packet is changed before it is sent: the first, or the proof.
fn handshake(
    scene: &mut Scene,
    change: impl Fn(&mut Vec<u8>),
    first: bool,
) -> Result<OwnedFd, Failure> {
    let connection = connect(scene)?;
    let (mut greeter, mut hello) = Greeter::start(&credential("token"), [scene.tried as u8; 32]);
    scene.tried += 1;
    if first {
        change(&mut hello);
    }
    let _ = bad::send(&connection, &hello);
    if !first && let Ok(GreeterStep::Send(mut proof)) = greeter.handle(&answer(&connection)) {
        change(&mut proof);
        let _ = bad::send(&connection, &proof);
    }
    Ok(connection)
}

pub fn prefixes(scene: &mut Scene) -> Result<(), Failure> {
    let mut kept = Kept::default();
    while scene.goes_on() {
        let cut = (scene.tried / 2) as usize % 80;
        let first = scene.tried.is_multiple_of(2);
        kept.push(handshake(scene, |packet| packet.truncate(cut), first)?);
    }
    Ok(())
}

pub fn bits(scene: &mut Scene) -> Result<(), Failure> {
    let mut kept = Kept::default();
    while scene.goes_on() {
        let bit = (scene.tried / 2) as usize;
        let flip = |packet: &mut Vec<u8>| {
            let bit = bit % (8 * packet.len());
            packet[bit / 8] ^= 1 << (bit % 8);
        };
        let first = scene.tried.is_multiple_of(2);
        kept.push(handshake(scene, flip, first)?);
    }
    Ok(())
}

pub fn objects(scene: &mut Scene) -> Result<(), Failure> {
    let bell = Doorbell::create()?.into_object();
    let mut kept = Kept::default();
    while scene.goes_on() {
        let channel = ipmb_sys::Channel::from(connect(scene)?);
        let (_, hello) = Greeter::start(&credential("token"), [1; 32]);
        let objects = vec![bell.as_fd(); 1 + scene.dice.below(253) as usize];
        let _ = channel.try_send(&hello, &objects);
        scene.tried += 1;
        kept.push(channel.into());
    }
    Ok(())
}

/// As fast as they can be made.
pub fn silent(scene: &mut Scene) -> Result<(), Failure> {
    let mut kept = VecDeque::new();
    while scene.goes_on() || scene.tried < 10_000 {
        kept.push_back(connect(scene)?);
        scene.tried += 1;
        if kept.len() > 500 {
            kept.pop_front();
        }
    }
    Ok(())
}

pub fn slow(scene: &mut Scene) -> Result<(), Failure> {
    let mut kept = Kept::default();
    while scene.goes_on() {
        let connection = connect(scene)?;
        let (_, hello) = Greeter::start(&credential("token"), [1; 32]);
        for byte in &hello {
            scene.tried += 1;
            if bad::send(&connection, &[*byte]).is_err() {
                break;
            }
            patiently(|| false);
        }
        kept.push(connection);
    }
    Ok(())
}

/// What one handshake has brought is used in another.
pub fn replayed(scene: &mut Scene) -> Result<(), Failure> {
    let (mut greeter, hello) = Greeter::start(&credential("token"), [1; 32]);
    let first = connect(scene)?;
    bad::send(&first, &hello)?;
    let challenge = answer(&first);
    let Ok(GreeterStep::Send(proof)) = greeter.handle(&challenge) else {
        return Err("the real handshake fails".into());
    };
    let mut kept = Kept::default();
    while scene.goes_on() {
        let connection = connect(scene)?;
        let packets: [&[u8]; 3] = match scene.tried % 3 {
            0 => [&hello, &proof, &proof],
            1 => [&challenge, &hello, &challenge],
            _ => [&proof, &hello, &proof],
        };
        scene.tried += 1;
        for packet in packets {
            let _ = bad::send(&connection, packet);
        }
        if answer(&connection).is_empty() {
            scene.refused += 1;
        }
        // It is not let in: what a member would be told does not come.
        kept.push(connection);
    }
    Ok(())
}

pub fn token(scene: &mut Scene) -> Result<(), Failure> {
    while scene.goes_on() {
        for token in ["", "toke", "token ", "Token"] {
            let mut options = options(&scene.directory, label!("attacker"));
            options.token = token.to_owned();
            scene.tried += 1;
            match ipmb::join::<(), ()>(options.with_controller_affinity(false), None) {
                Err(JoinError::TokenMismatch) => scene.refused += 1,
                Err(error) => return Err(error.into()),
                Ok(_) => return Err("let in without the token".into()),
            }
        }
    }
    Ok(())
}

/// On a name of its own, with an honest joiner to be fooled.
pub fn squatter(scene: &mut Scene) -> Result<(), Failure> {
    while scene.goes_on() {
        let bus = Bus::new();
        std::fs::create_dir(bus.path())?;
        std::fs::set_permissions(
            bus.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )?;
        let listener = bad::serve(&bad::socket(&bus.path(), bad::IDENTIFIER));
        let kind = scene.tried % 3;
        let mut dice = scene.dice.clone();
        thread::spawn(move || {
            let mut kept = Vec::new();
            while let Ok(connection) = rustix::net::accept(&listener) {
                let hello = bad::receive(&connection).unwrap_or_default();
                let _ = match kind {
                    0 => bad::send(&connection, &dice.bytes(74)),
                    1 => bad::send(&connection, &hello),
                    _ => Ok(0),
                };
                kept.push(connection);
            }
        });
        scene.tried += 1;
        let options = bus
            .options(label!("fooled"))
            .with_controller_affinity(false);
        match ipmb::join::<(), ()>(options, Some(PATIENCE)) {
            Err(_) => scene.refused += 1,
            Ok(_) => return Err("somebody has joined a squatter".into()),
        }
        // Who has the token, meanwhile, is where it belongs.
        let id = scene.fresh_id();
        drop(Raw::join(&scene.directory, "attacker", id)?);
    }
    Ok(())
}

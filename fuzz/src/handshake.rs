//! The handshake as a dialogue: honest sides, and somebody between them who holds every packet in his hands.

use arbitrary::{Arbitrary, Unstructured};
use ipmb_core::{
    Credential, Doorkeeper, DoorkeeperStep, Greeter, GreeterStep, HandshakeError,
    MAX_HANDSHAKE_PACKET, Version,
};

/// Who says what to whom.
#[derive(Debug, Arbitrary)]
enum Move {
    /// Somebody begins to join.
    Join(Keys),
    /// A controller accepts a connection.
    Accept(Keys),
    /// A joiner gets a packet.
    ToJoiner(u8, Content),
    /// A controller gets a packet.
    ToController(u8, Content),
}

/// What one side has.
#[derive(Debug, Clone, Copy, PartialEq, Arbitrary)]
struct Keys {
    token: bool,
    identifier: bool,
    other_version: Option<(u8, u8, u8)>,
}

/// A packet: one that was sent before, whole or changed, or made up.
#[derive(Debug, Arbitrary)]
enum Content {
    Old(u8),
    Changed(u8, u8, u8),
    Cut(u8, u8),
    Longer(u8, u8),
    MadeUp(Vec<u8>),
}

/// Side `number` of a dialogue, and what it has sent.
struct Joiner {
    keys: Keys,
    greeter: Greeter,
    hello: Vec<u8>,
}

struct Controller {
    keys: Keys,
    doorkeeper: Doorkeeper,
    /// The dialogue: the hello that it took, and its answer.
    answered: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Default)]
struct World {
    joiners: Vec<Joiner>,
    controllers: Vec<Controller>,
    sent: Vec<Vec<u8>>,
    proofs: Vec<Proof>,
}

/// Whose keys made it, and for which dialogue.
struct Proof {
    keys: Keys,
    dialogue: (Vec<u8>, Vec<u8>),
    packet: Vec<u8>,
}

/// Nobody is let in, and no controller believed, but by a packet that a holder of the same token made for just this
/// dialogue; and no packet is longer than it may be.
pub fn handshake(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let mut world = World::default();
    while !data.is_empty()
        && let Ok(next) = Move::arbitrary(&mut data)
    {
        world.make(next);
    }
}

impl World {
    fn make(&mut self, next: Move) {
        // Each side draws its own nonce.
        let nonce = [(self.joiners.len() + self.controllers.len()) as u8; 32];
        match next {
            Move::Join(keys) => {
                let (greeter, hello) = Greeter::start(&keys.credential(), nonce);
                self.note(&hello);
                self.joiners.push(Joiner {
                    keys,
                    greeter,
                    hello,
                });
            }
            Move::Accept(keys) => self.controllers.push(Controller {
                keys,
                doorkeeper: Doorkeeper::new(&keys.credential(), nonce),
                answered: None,
            }),
            Move::ToJoiner(who, content) => {
                let packet = self.packet(content);
                self.joiner_gets(usize::from(who), &packet);
            }
            Move::ToController(who, content) => {
                let packet = self.packet(content);
                self.controller_gets(usize::from(who), &packet);
            }
        }
    }

    fn joiner_gets(&mut self, who: usize, packet: &[u8]) {
        let Some(index) = who.checked_rem(self.joiners.len()) else {
            return;
        };
        let joiner = &mut self.joiners[index];
        let refusal = joiner.greeter.refusal(packet);
        let step = joiner.greeter.handle(packet);
        assert!(refusal.is_none() || step == Err(refusal.unwrap_or(HandshakeError::Malformed)));
        let Ok(step) = step else { return };
        let GreeterStep::Send(proof) = step else {
            unreachable!("a joiner does nothing else")
        };
        let dialogue = (joiner.hello.clone(), packet.to_vec());
        let keys = joiner.keys;
        let believed = self.controllers.iter().any(|controller| {
            controller.keys.agree(keys) && controller.answered.as_ref() == Some(&dialogue)
        });
        assert!(believed, "a controller is believed that proves nothing");
        self.note(&proof);
        self.proofs.push(Proof {
            keys,
            dialogue,
            packet: proof,
        });
    }

    fn controller_gets(&mut self, who: usize, packet: &[u8]) {
        let Some(index) = who.checked_rem(self.controllers.len()) else {
            return;
        };
        let controller = &mut self.controllers[index];
        match controller.doorkeeper.handle(packet) {
            Ok(DoorkeeperStep::Send(challenge)) => {
                assert_eq!(controller.answered, None, "a second challenge");
                controller.answered = Some((packet.to_vec(), challenge.clone()));
                // No larger than what it answers: nothing to be gained by asking.
                assert!(challenge.len() <= packet.len());
                self.note(&challenge);
            }
            Ok(DoorkeeperStep::Admitted) => {
                let keys = controller.keys;
                let answered = controller.answered.as_ref();
                let proven = self.proofs.iter().any(|proof| {
                    proof.keys.agree(keys)
                        && answered == Some(&proof.dialogue)
                        && proof.packet == packet
                });
                assert!(proven, "somebody is let in who proves nothing");
            }
            Ok(_) => unreachable!("a controller does nothing else"),
            Err((error, refusal)) => {
                assert_eq!(refusal.is_none(), error == HandshakeError::Malformed);
                if let Some(refusal) = refusal {
                    assert!(refusal.len() < packet.len().max(16));
                    self.note(&refusal);
                }
            }
        }
    }

    fn note(&mut self, packet: &[u8]) {
        assert!(packet.len() <= MAX_HANDSHAKE_PACKET);
        self.sent.push(packet.to_vec());
    }

    fn packet(&self, content: Content) -> Vec<u8> {
        let old = |which: u8| {
            let index = usize::from(which).checked_rem(self.sent.len());
            index.map_or_else(Vec::new, |index| self.sent[index].clone())
        };
        match content {
            Content::Old(which) => old(which),
            Content::Changed(which, at, mask) => {
                let mut packet = old(which);
                if let Some(index) = usize::from(at).checked_rem(packet.len()) {
                    packet[index] ^= mask;
                }
                packet
            }
            Content::Cut(which, len) => {
                let mut packet = old(which);
                packet.truncate(len.into());
                packet
            }
            Content::Longer(which, byte) => {
                let mut packet = old(which);
                packet.push(byte);
                packet
            }
            Content::MadeUp(bytes) => bytes,
        }
    }
}

impl Keys {
    fn credential(self) -> Credential {
        let identifier = if self.identifier { "bus" } else { "other bus" };
        let token = if self.token { "token" } else { "" };
        let credential = Credential::new(identifier, token);
        match self.other_version {
            Some((major, minor, patch)) => {
                credential.with_version(Version::new(major, minor, patch))
            }
            None => credential,
        }
    }

    fn agree(self, other: Self) -> bool {
        (self.token, self.identifier) == (other.token, other.identifier)
    }
}

//! The controller's side.

use hmac::Mac;

use super::{
    Credential, HandshakeError,
    packet::{Content, Packet},
    transcript::{Role, Transcript},
};
use crate::Version;

/// The controller's side of a handshake: answers a Hello with its own proof, and checks the joiner's.
#[derive(Debug)]
pub struct Doorkeeper {
    credential: Credential,
    nonce: [u8; 32],
    joiner: Option<([u8; 32], Version)>,
}

/// What the controller does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DoorkeeperStep {
    /// Send this packet and wait for the next.
    Send(Vec<u8>),
    /// The joiner holds the token. Control messages follow.
    Admitted,
}

impl Doorkeeper {
    /// Waits for a Hello. The nonce is fresh random bytes.
    pub fn new(credential: &Credential, nonce: [u8; 32]) -> Self {
        Self {
            credential: credential.clone(),
            nonce,
            joiner: None,
        }
    }

    /// The joiner sent a packet.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the packet to answer with before the connection is closed. Somebody
    /// who does not speak the protocol gets no answer.
    pub fn handle(
        &mut self,
        packet: &[u8],
    ) -> Result<DoorkeeperStep, (HandshakeError, Option<Vec<u8>>)> {
        self.step(packet).map_err(|error| {
            let refusal = self.packet(Content::Refusal(error));
            (
                error,
                (error != HandshakeError::Malformed).then_some(refusal),
            )
        })
    }

    fn step(&mut self, packet: &[u8]) -> Result<DoorkeeperStep, HandshakeError> {
        let packet = Packet::parse(packet, self.credential.version)?;
        match (packet.content, self.joiner) {
            (Content::Hello { nonce, identifier }, None) => {
                if identifier != self.credential.identifier {
                    return Err(HandshakeError::WrongIdentifier);
                }
                let joiner = (nonce, packet.version);
                self.joiner = Some(joiner);
                Ok(DoorkeeperStep::Send(
                    self.packet(Content::Challenge {
                        nonce: self.nonce,
                        mac: self
                            .transcript(joiner)
                            .mac(Role::Controller)
                            .finalize()
                            .into_bytes()
                            .into(),
                    }),
                ))
            }
            (Content::Proof { mac }, Some(joiner)) => self
                .transcript(joiner)
                .mac(Role::Joiner)
                .verify_slice(&mac)
                .map(|()| DoorkeeperStep::Admitted)
                .map_err(|_| HandshakeError::TokenMismatch),
            _ => Err(HandshakeError::Malformed),
        }
    }

    fn transcript(&self, joiner: ([u8; 32], Version)) -> Transcript<'_> {
        Transcript {
            credential: &self.credential,
            joiner,
            controller: (self.nonce, self.credential.version),
        }
    }

    fn packet(&self, content: Content) -> Vec<u8> {
        let version = self.credential.version;
        Packet { version, content }.encode()
    }
}

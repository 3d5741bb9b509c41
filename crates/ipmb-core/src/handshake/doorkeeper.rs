//! The controller's side.

use super::{
    Credential, HandshakeError,
    packet::{Content, Packet},
    standing::Seen,
    transcript::{Role, Said, Transcript},
};

/// The controller's side of a handshake: answers a Hello with its own proof, and checks the joiner's.
#[derive(Debug)]
pub struct Doorkeeper {
    credential: Credential,
    nonce: [u8; 32],
    joiner: Option<Said>,
    seen: Option<Seen>,
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
            seen: None,
        }
    }

    /// The same, with what the kernel says of the process at the other end. It has to be the one that
    /// holds the token, as far as the two can be compared (see [`Standing`](super::Standing)).
    pub fn seeing(mut self, pid: u32, uid: u32) -> Self {
        self.seen = Some(Seen { pid, uid });
        self
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
            (
                Content::Hello {
                    nonce,
                    identifier,
                    standing,
                },
                None,
            ) => {
                if identifier != self.credential.identifier {
                    return Err(HandshakeError::WrongIdentifier);
                }
                let joiner = Said {
                    nonce,
                    version: packet.version,
                    standing,
                };
                self.joiner = Some(joiner);
                Ok(DoorkeeperStep::Send(self.packet(Content::Challenge {
                    nonce: self.nonce,
                    mac: self.transcript(joiner).prove(Role::Controller),
                    standing: self.credential.standing,
                })))
            }
            (Content::Proof { mac }, Some(joiner)) => {
                if !self.transcript(joiner).verify(Role::Joiner, &mac) {
                    return Err(HandshakeError::TokenMismatch);
                }
                self.credential.standing.check(joiner.standing, self.seen)?;
                Ok(DoorkeeperStep::Admitted)
            }
            _ => Err(HandshakeError::Malformed),
        }
    }

    fn transcript(&self, joiner: Said) -> Transcript<'_> {
        Transcript {
            credential: &self.credential,
            joiner,
            controller: Said {
                nonce: self.nonce,
                version: self.credential.version,
                standing: self.credential.standing,
            },
        }
    }

    fn packet(&self, content: Content) -> Vec<u8> {
        let version = self.credential.version;
        Packet { version, content }.encode()
    }
}

//! The joiner's side.

use super::{
    Credential, HandshakeError,
    packet::{Content, Packet},
    standing::Seen,
    transcript::{Role, Said, Transcript},
};

/// The joiner's side of a handshake: sends a Hello, checks the controller's proof, sends its own.
#[derive(Debug)]
pub struct Greeter {
    credential: Credential,
    nonce: [u8; 32],
    seen: Option<Seen>,
}

/// What the joiner does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GreeterStep {
    /// Send this packet, and the handshake is over: control messages follow. (The controller may
    /// still answer with a refusal in their place: see [`Greeter::refusal`].)
    Send(Vec<u8>),
}

impl Greeter {
    /// Begins a handshake with fresh random bytes. Returns the packet to send.
    pub fn start(credential: &Credential, nonce: [u8; 32]) -> (Self, Vec<u8>) {
        let hello = Packet {
            version: credential.version,
            content: Content::Hello {
                nonce,
                identifier: credential.identifier,
                standing: credential.standing,
            },
        };
        let greeter = Self {
            credential: credential.clone(),
            nonce,
            seen: None,
        };
        (greeter, hello.encode())
    }

    /// The same, with what the kernel says of the process at the other end. It has to be the one that
    /// holds the token, as far as the two can be compared (see [`Standing`](super::Standing)).
    pub fn seeing(mut self, pid: u32, uid: u32) -> Self {
        self.seen = Some(Seen { pid, uid });
        self
    }

    /// The controller answered.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the answer, or what it says is wrong with us. The connection is of no
    /// more use then.
    pub fn handle(&mut self, packet: &[u8]) -> Result<GreeterStep, HandshakeError> {
        let ours = self.credential.version;
        let packet = Packet::parse(packet, ours)?;
        let (nonce, mac, standing) = match packet.content {
            Content::Challenge {
                nonce,
                mac,
                standing,
            } => (nonce, mac, standing),
            Content::Refusal(error) => return Err(error),
            Content::Hello { .. } | Content::Proof { .. } => return Err(HandshakeError::Malformed),
        };
        let transcript = Transcript {
            credential: &self.credential,
            joiner: Said {
                nonce: self.nonce,
                version: ours,
                standing: self.credential.standing,
            },
            controller: Said {
                nonce,
                version: packet.version,
                standing,
            },
        };
        if !transcript.verify(Role::Controller, &mac) {
            return Err(HandshakeError::TokenMismatch);
        }
        self.credential.standing.check(standing, self.seen)?;
        let proof = Packet {
            version: ours,
            content: Content::Proof {
                mac: transcript.prove(Role::Joiner),
            },
        };
        Ok(GreeterStep::Send(proof.encode()))
    }

    /// Whether a packet that came where the first packet of a control message was due is a refusal:
    /// the controller did not accept our proof.
    pub fn refusal(&self, packet: &[u8]) -> Option<HandshakeError> {
        match Packet::parse(packet, self.credential.version).ok()?.content {
            Content::Refusal(error) => Some(error),
            _ => None,
        }
    }
}

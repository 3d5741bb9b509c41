//! Who a process says it is, so that nobody can stand between two that shake hands.
//!
//! Without it a process that lacks the token could put up a socket of its own, connect to the
//! controller, and pass on what both say: their proofs would be in order, and it would hold the
//! connection. So each side's proof covers who it is, and the other compares that with what the kernel
//! says of the process at the other end, which for a go-between is the go-between.

use super::HandshakeError;

/// A process by its own word: user and process id, each with the namespace in which it means something.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The user namespace, as the kernel numbers them; 0 if it is not known.
    pub users: u64,
    /// The effective user id in it.
    pub uid: u32,
    /// The process namespace, as the kernel numbers them; 0 if it is not known.
    pub processes: u64,
    /// The process id in it.
    pub pid: u32,
}

/// The process at the other end, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) pid: u32,
    pub(super) uid: u32,
}

impl Standing {
    pub(super) const LEN: usize = 24;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let parts = [
            (&self.users.to_le_bytes()[..], 0),
            (&self.uid.to_le_bytes()[..], 8),
            (&self.processes.to_le_bytes()[..], 12),
            (&self.pid.to_le_bytes()[..], 20),
        ];
        for (part, at) in parts {
            let places = bytes.iter_mut().skip(at);
            places.zip(part).for_each(|(to, from)| *to = *from);
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let number = |from: usize, len: usize| {
            let part = bytes.iter().skip(from).take(len).rev();
            part.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        Self {
            users: number(0, 8),
            uid: number(8, 4) as u32,
            processes: number(12, 8),
            pid: number(20, 4) as u32,
        }
    }

    /// Whether what a peer says of itself can be true of the process that we see. Ids of other
    /// namespaces than ours cannot be compared, and pass.
    pub(super) fn check(self, theirs: Self, seen: Option<Seen>) -> Result<(), HandshakeError> {
        let Some(seen) = seen else { return Ok(()) };
        let same = |ours: u64, theirs: u64| ours != 0 && ours == theirs;
        let another_user = same(self.users, theirs.users) && theirs.uid != seen.uid;
        let another_process = same(self.processes, theirs.processes) && theirs.pid != seen.pid;
        match another_user || another_process {
            true => Err(HandshakeError::Relayed),
            false => Ok(()),
        }
    }
}

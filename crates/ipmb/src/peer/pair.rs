//! What two endpoints say to each other beside their lanes, on the channel that the controller
//! gave them.

/// A packet on the channel between two endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairPacket {
    /// The first packet of either side: "I have my end".
    Hello,
    /// A new lane, to be read when the lanes with lower numbers are drained.
    /// Objects: the lane's memory, and the sender's doorbell for room.
    Lane {
        /// Counts from 0.
        number: u32,
    },
    /// Some of the objects of a message.
    Objects {
        /// Stands in front of the message's payload, too.
        sequence: u64,
    },
    /// Where the receiver gives loans back. Objects: the lease of that memory.
    Account,
    /// Memory that the sender lends parts of, in the place of what the slot had before. Objects: the
    /// memory.
    Segment {
        /// Its number.
        slot: u32,
        /// Counts what the slot has had.
        epoch: u32,
    },
}

impl PairPacket {
    /// The length of any of them, in bytes.
    pub(crate) const LEN: usize = 9;

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let (kind, value) = match self {
            Self::Hello => (0, 0),
            Self::Lane { number } => (1, u64::from(number)),
            Self::Objects { sequence } => (2, sequence),
            Self::Account => (3, 0),
            Self::Segment { slot, epoch } => (4, u64::from(slot) << 32 | u64::from(epoch)),
        };
        let mut bytes = [kind; Self::LEN];
        bytes[1..].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&kind, value) = bytes.split_first()?;
        let value = u64::from_le_bytes(value.try_into().ok()?);
        match kind {
            0 => Some(Self::Hello),
            1 => Some(Self::Lane {
                number: u32::try_from(value).ok()?,
            }),
            2 => Some(Self::Objects { sequence: value }),
            3 if value == 0 => Some(Self::Account),
            4 => Some(Self::Segment {
                slot: (value >> 32) as u32,
                epoch: value as u32,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PairPacket;

    #[test]
    fn packets_survive_the_way() {
        for packet in [
            PairPacket::Hello,
            PairPacket::Lane { number: u32::MAX },
            PairPacket::Objects { sequence: u64::MAX },
            PairPacket::Account,
            PairPacket::Segment {
                slot: 1,
                epoch: u32::MAX,
            },
        ] {
            assert_eq!(PairPacket::parse(&packet.encode()), Some(packet));
        }
    }

    #[test]
    fn garbage_is_no_packet() {
        assert_eq!(PairPacket::parse(&[]), None);
        assert_eq!(PairPacket::parse(&[9; 9]), None);
        assert_eq!(PairPacket::parse(&[0; 8]), None);
        assert_eq!(PairPacket::parse(&[1, 0, 0, 0, 0, 1, 0, 0, 0]), None);
    }
}

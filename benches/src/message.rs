//! What every message carries, by which its receiver sees that it is the next one, and whole.
//!
//! The first word has the phase in its lowest 2 bits, then the sender's index in 8, then the number.
//! The last byte is made from the number.

use crate::Result;

/// Room for the word and the last byte.
pub(crate) const SMALLEST: usize = 16;

const SENDER: u32 = 2;
const NUMBER: u32 = 10;

/// Which part of a measurement a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WarmUp,
    Measured,
    /// Nothing comes after it from that sender.
    Last,
}

/// Makes the messages of one sender in one measurement.
pub(crate) struct Stamper {
    buffer: Vec<u8>,
    sender: u64,
    next: u64,
}

impl Stamper {
    pub(crate) fn new(size: usize, sender: usize) -> Self {
        Self {
            buffer: (0..size.max(SMALLEST)).map(|it| it as u8).collect(),
            sender: sender as u64,
            next: 0,
        }
    }

    /// Bytes of a message.
    pub(crate) fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The next message, in a buffer that is used again.
    pub(crate) fn stamp(&mut self, phase: Phase) -> &[u8] {
        let word = self.word(phase);
        write(&mut self.buffer, word);
        &self.buffer
    }

    /// Makes the next message of the first word and the last byte of what is there.
    pub(crate) fn stamp_into(&mut self, message: &mut [u8], phase: Phase) {
        let word = self.word(phase);
        write(message, word);
    }

    fn word(&mut self, phase: Phase) -> u64 {
        let word = self.next << NUMBER | self.sender << SENDER | phase as u64;
        self.next += 1;
        word
    }
}

/// Checks the messages that one receiver gets in one measurement.
pub(crate) struct Checker {
    size: usize,
    /// By sender.
    next: Vec<u64>,
}

impl Checker {
    pub(crate) fn new(size: usize, senders: usize) -> Self {
        let size = size.max(SMALLEST);
        let next = vec![0; senders];
        Self { size, next }
    }

    /// Bytes of a message.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Which phase a message belongs to, if it is the one that has to come from its sender.
    pub(crate) fn check(&mut self, message: &[u8]) -> Result<Phase> {
        self.check_from(message).map(|(_, phase)| phase)
    }

    /// As [`check`](Self::check), with the sender's index.
    pub(crate) fn check_from(&mut self, message: &[u8]) -> Result<(usize, Phase)> {
        let word = word(message);
        let sender = (word >> SENDER) as usize & 0xff;
        let Some(next) = self.next.get_mut(sender) else {
            return Err(format!("there is no sender {sender}").into());
        };
        if message.len() != self.size {
            let is = message.len();
            return Err(format!("message {next} has {is} bytes, not {}", self.size).into());
        }
        if word >> NUMBER != *next {
            return Err(format!("message {} came in the place of {next}", word >> NUMBER).into());
        }
        if message.last() != Some(&last_byte(word)) {
            return Err(format!("the last byte of message {next} is wrong").into());
        }
        *next += 1;
        let phase = match word & 3 {
            0 => Phase::WarmUp,
            1 => Phase::Measured,
            _ => Phase::Last,
        };
        Ok((sender, phase))
    }
}

/// The first word of a message.
pub(crate) fn word(message: &[u8]) -> u64 {
    message
        .first_chunk()
        .map_or(u64::MAX, |it| u64::from_le_bytes(*it))
}

/// Makes a message of its first word.
pub(crate) fn write(message: &mut [u8], word: u64) {
    if let Some(first) = message.first_chunk_mut() {
        *first = word.to_le_bytes();
    }
    if let Some(last) = message.last_mut() {
        *last = last_byte(word);
    }
}

fn last_byte(word: u64) -> u8 {
    (word >> NUMBER) as u8 ^ 0xa5
}

#[cfg(test)]
mod tests {
    use super::{Checker, Phase, Stamper};

    #[test]
    fn what_is_stamped_passes_and_nothing_else() {
        let mut stamper = Stamper::new(64, 0);
        let mut checker = Checker::new(64, 1);
        for phase in [Phase::WarmUp, Phase::Measured, Phase::Last] {
            assert_eq!(checker.check(stamper.stamp(phase)).unwrap(), phase);
        }
        let mut torn = stamper.stamp(Phase::WarmUp).to_vec();
        *torn.last_mut().unwrap() ^= 1;
        assert!(checker.check(&torn).is_err());
        assert!(checker.check(&torn[..63]).is_err());
        // One is missing.
        assert!(checker.check(stamper.stamp(Phase::WarmUp)).is_err());
    }

    #[test]
    fn senders_count_for_themselves() {
        let mut stampers = [0, 1, 2].map(|it| Stamper::new(16, it));
        let mut checker = Checker::new(16, 2);
        for sender in [0, 0, 1, 0, 1] {
            let message = stampers[sender].stamp(Phase::Measured);
            let checked = checker.check_from(message).unwrap();
            assert_eq!(checked, (sender, Phase::Measured));
        }
        assert!(checker.check(stampers[2].stamp(Phase::Last)).is_err());
    }
}

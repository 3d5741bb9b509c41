//! What every message carries, by which its receiver sees that it is the next one, and whole.

use crate::Result;

/// Room for the number, the phase and the last byte.
pub(crate) const SMALLEST: usize = 16;

/// Which part of a measurement a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WarmUp,
    Measured,
    /// Nothing comes after it.
    Last,
}

/// Makes the messages of one measurement, in a buffer that it reuses.
pub(crate) struct Stamper {
    buffer: Vec<u8>,
    next: u64,
}

impl Stamper {
    pub(crate) fn new(size: usize) -> Self {
        let buffer = (0..size.max(SMALLEST)).map(|it| it as u8).collect();
        Self { buffer, next: 0 }
    }

    /// The next message.
    pub(crate) fn stamp(&mut self, phase: Phase) -> &[u8] {
        write(&mut self.buffer, self.next << 2 | phase as u64);
        self.next += 1;
        &self.buffer
    }
}

/// Checks the messages of one measurement.
pub(crate) struct Checker {
    size: usize,
    next: u64,
}

impl Checker {
    pub(crate) fn new(size: usize) -> Self {
        let size = size.max(SMALLEST);
        Self { size, next: 0 }
    }

    /// Bytes of a message.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Which phase a message belongs to, if it is the one that has to come.
    pub(crate) fn check(&mut self, message: &[u8]) -> Result<Phase> {
        let next = self.next;
        if message.len() != self.size {
            let is = message.len();
            return Err(format!("message {next} has {is} bytes, not {}", self.size).into());
        }
        let word = word(message);
        if word >> 2 != next {
            return Err(format!("message {} came in the place of {next}", word >> 2).into());
        }
        if message.last() != Some(&last_byte(word)) {
            return Err(format!("the last byte of message {next} is wrong").into());
        }
        self.next += 1;
        match word & 3 {
            0 => Ok(Phase::WarmUp),
            1 => Ok(Phase::Measured),
            _ => Ok(Phase::Last),
        }
    }
}

/// Number and phase of a message.
pub(crate) fn word(message: &[u8]) -> u64 {
    message
        .first_chunk()
        .map_or(u64::MAX, |it| u64::from_le_bytes(*it))
}

/// Makes a message of the number and phase.
pub(crate) fn write(message: &mut [u8], word: u64) {
    message[..8].copy_from_slice(&word.to_le_bytes());
    if let Some(last) = message.last_mut() {
        *last = last_byte(word);
    }
}

fn last_byte(word: u64) -> u8 {
    (word >> 2) as u8 ^ 0xa5
}

#[cfg(test)]
mod tests {
    use super::{Checker, Phase, Stamper};

    #[test]
    fn what_is_stamped_passes_and_nothing_else() {
        let mut stamper = Stamper::new(64);
        let mut checker = Checker::new(64);
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
}

//! How far a sender may be ahead of the receiver where each message holds something that is scarce:
//! a descriptor, or a buffer as large as the message. The receiver says now and then how far it is.

use crate::{Result, message::SMALLEST, peers::Peer};

/// Most messages on their way.
const AHEAD: u64 = 16;
/// Messages for which the receiver speaks once.
const STEP: u64 = AHEAD / 2;

#[derive(Default)]
pub(super) struct Window {
    done: u64,
    acknowledged: u64,
}

impl Window {
    /// The sender's side, before each message.
    pub(super) fn wait(&mut self, peer: &mut impl Peer) -> Result<()> {
        while self.done >= self.acknowledged + AHEAD {
            peer.receive()?;
            self.acknowledged += STEP;
        }
        self.done += 1;
        Ok(())
    }

    /// The sender's side, after its last message: what is still said has to be heard, or the
    /// receiver cannot say it.
    pub(super) fn close(&mut self, peer: &mut impl Peer) -> Result<()> {
        while self.done >= self.acknowledged + STEP {
            peer.receive()?;
            self.acknowledged += STEP;
        }
        Ok(())
    }

    /// The receiver's side, after each message.
    pub(super) fn acknowledge(&mut self, peer: &mut impl Peer) -> Result<()> {
        self.done += 1;
        if self.done.is_multiple_of(STEP) {
            peer.send(&[0; SMALLEST])?;
        }
        Ok(())
    }
}

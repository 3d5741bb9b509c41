//! The controller: who is on the bus, who gets to know whom, and what waits for whom.

mod input;
mod output;
mod settings;

pub use input::{ConnId, Input, Phase};
pub use output::{Attachment, CloseReason, Output, Side};
pub use settings::Settings;

use crate::{Credential, Directory, Record};

/// A placeholder.
pub struct Controller {
    directory: Directory,
}

impl Controller {
    /// A controller that has just been elected.
    #[allow(unused_variables)]
    pub fn new(
        settings: Settings,
        credential: Credential,
        generation: u64,
        inherited: Option<Directory>,
        others_present: bool,
        now: u64,
        out: &mut Vec<Output>,
    ) -> Self {
        Self {
            directory: inherited.unwrap_or_default(),
        }
    }

    /// Something happened.
    pub fn handle(&mut self, _input: Input<'_>, _now: u64, _out: &mut Vec<Output>) {}

    /// When to call next, if nothing happens.
    pub fn next_deadline(&self) -> Option<u64> {
        None
    }

    /// How far a connection has come.
    pub fn phase(&self, _conn: ConnId) -> Option<Phase> {
        None
    }

    /// The records that make up the directory now.
    pub fn snapshot(&self) -> Vec<Record> {
        self.directory.snapshot().collect()
    }
}

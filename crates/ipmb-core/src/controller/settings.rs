//! How patient a controller is, and how much it holds.

use std::time::Duration;

use crate::Quotas;

/// What a controller allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How much it holds for whom.
    pub quotas: Quotas,
    /// How long a connection may take to shake hands and register.
    pub handshake_timeout: Duration,
    /// How long a connection that has said hello is not cut off for the sake of others that want to.
    pub handshake_turn: Duration,
    /// How long a controller that does not know the members waits for one that does, before it lets
    /// anybody join.
    pub settle: Duration,
    /// How long an inherited member may take to register again if its process cannot be watched.
    pub grace: Duration,
    /// How long it may take if its process lives. A process that is stopped needs time; one that
    /// dropped the endpoint while nobody served would otherwise stay on the bus until it exits. Who
    /// comes later still gets its id and its place back.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quotas: Quotas::default(),
            handshake_timeout: Duration::from_secs(2),
            handshake_turn: Duration::from_millis(100),
            settle: Duration::from_millis(50),
            grace: Duration::from_secs(1),
            patience: Duration::from_secs(10),
        }
    }
}

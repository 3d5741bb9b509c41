//! How an endpoint joins.

use crate::{Label, Overflow, Scope};
use std::{path::PathBuf, time::Duration};

/// How an endpoint joins a bus. The defaults suit everybody.
///
/// ```
/// use ipmb::{Options, Overflow, label};
/// use std::time::Duration;
/// let options = Options::new("com.example.app", label!("codec", "audio"), "secret")
///     .with_overflow(Overflow::DropOldest)
///     .with_message_limit(1 << 30)
///     .with_send_timeout(Some(Duration::from_secs(5)));
/// assert!(options.controller_affinity);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Name of the bus, e.g. `com.example.app`: any UTF-8 but the empty string, any length.
    pub identifier: String,
    /// Who this endpoint is; messages are routed by it.
    pub label: Label,
    /// Secret of the bus: whoever has another one is refused. May be empty in
    /// [`Scope::User`].
    ///
    /// [`join`](crate::join) wipes it from memory when it has made a key of it. Copies that you keep, as in
    /// a clone of these options, are yours to wipe.
    pub token: String,
    /// Whether this endpoint may become the controller. On by default.
    pub controller_affinity: bool,
    pub(crate) runtime_directory: Option<PathBuf>,
    pub(crate) scope: Scope,
    pub(crate) message_limit: u64,
    pub(crate) inbox_budget: u64,
    pub(crate) overflow: Overflow,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) spin: Duration,
}

impl Options {
    /// Options with the defaults.
    pub fn new(identifier: impl Into<String>, label: Label, token: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            label,
            token: token.into(),
            controller_affinity: true,
            runtime_directory: None,
            scope: Scope::User,
            message_limit: 256 << 20,
            inbox_budget: 16 << 20,
            overflow: Overflow::Block,
            send_timeout: None,
            spin: Duration::from_micros(50),
        }
    }

    /// Whether this endpoint may become the controller. Default: `true`.
    #[must_use]
    pub fn with_controller_affinity(mut self, affinity: bool) -> Self {
        self.controller_affinity = affinity;
        self
    }

    /// Where the bus's socket and lock file are. Default: `$IPMB_RUNTIME_DIR`, else
    /// `$XDG_RUNTIME_DIR/ipmb`, else `/tmp/ipmb-<uid>`; for [`Scope::System`], `/run/ipmb`.
    #[must_use]
    pub fn with_runtime_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.runtime_directory = Some(directory.into());
        self
    }

    /// Who can be on the bus: the processes of one user (the default), or of all users who hold
    /// the token.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Largest encoded message that this endpoint sends or accepts, in bytes.
    /// Default: 256 MiB.
    #[must_use]
    pub fn with_message_limit(mut self, bytes: u64) -> Self {
        self.message_limit = bytes;
        self
    }

    /// How many bytes one sender may have waiting in this endpoint's inbox: the size up to which
    /// its lane grows. Rounded up to a power of two, at least 64 KiB. Default: 16 MiB.
    #[must_use]
    pub fn with_inbox_budget(mut self, bytes: u64) -> Self {
        self.inbox_budget = bytes;
        self
    }

    /// What happens to messages for which this endpoint has no room.
    /// Default: [`Overflow::Block`], the sender waits.
    #[must_use]
    pub fn with_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How long [`send`](crate::EndpointSender::send) waits for a receiver that makes no room.
    /// Default: `None`, without limit (or until the receiver dies).
    #[must_use]
    pub fn with_send_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// How long a waiting [`recv`](crate::EndpointReceiver::recv) or `send` looks for news before
    /// it sleeps, at most; it adapts, and does not spin where that never pays off.
    /// Default: 50 µs. Zero: never.
    #[must_use]
    pub fn with_spin(mut self, spin: Duration) -> Self {
        self.spin = spin;
        self
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("identifier", &self.identifier)
            .field("label", &self.label)
            .field("token", &"…")
            .field("controller_affinity", &self.controller_affinity)
            .field("runtime_directory", &self.runtime_directory)
            .field("scope", &self.scope)
            .field("message_limit", &self.message_limit)
            .field("inbox_budget", &self.inbox_budget)
            .field("overflow", &self.overflow)
            .field("send_timeout", &self.send_timeout)
            .field("spin", &self.spin)
            .finish()
    }
}

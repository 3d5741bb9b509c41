//! A request on its asker's side.

use super::RequestError;
use crate::{Message, MessageBox, handle::Handle, patience::Patience};
use std::{fmt, sync::Arc, time::Duration};

/// A request that was sent: see [`EndpointSender::request`](crate::EndpointSender::request).
///
/// Dropping it ends the interest in the reply, which is dropped when it comes; who was asked does
/// not hear of that. The endpoint stays on the bus as long as it has a `Pending`.
#[must_use = "dropping it ends the interest in the reply"]
pub struct Pending {
    handle: Arc<Handle>,
    number: u64,
    over: bool,
}

impl Pending {
    pub(crate) fn new(handle: Arc<Handle>, number: u64) -> Self {
        Self {
            handle,
            number,
            over: false,
        }
    }

    /// Waits for the reply, without limit if `timeout` is `None`; with a timeout of zero it only looks.
    ///
    /// It returns as soon as the reply is there or cannot come any more. The reply may be of any
    /// type, whatever the endpoint receives otherwise.
    ///
    /// It needs nobody who receives, and disturbs nobody who does. Other messages from who was
    /// asked that come before the reply are kept for [`recv`](crate::EndpointReceiver::recv), in
    /// their order, up to the [inbox budget](crate::Options::with_inbox_budget); those from others
    /// stay where they are.
    ///
    /// # Errors
    ///
    /// [`RequestError::Timeout`], [`RequestError::InboxFull`] and [`RequestError::Resources`] leave the
    /// request as it is, and it can be waited for again. After all other errors it is over.
    ///
    /// ```
    /// use ipmb::{Message, Options, RequestError, Selector, label};
    /// use std::time::Duration;
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.pending", label, "").with_runtime_directory(directory.path().join("bus"));
    /// let (sender, _receiver) = ipmb::join::<String, ()>(options(label!("moon")), None)?;
    /// let (_, listener) = ipmb::join::<(), String>(options(label!("earth")), None)?;
    ///
    /// let question = Message::new(Selector::unicast("earth"), "are you there?".to_string());
    /// let mut pending = sender.request(question)?;
    /// let short = Some(Duration::from_millis(1));
    /// assert!(matches!(pending.wait::<String>(short), Err(RequestError::Timeout)));
    /// drop(listener);
    /// assert!(matches!(pending.wait::<String>(None), Err(RequestError::PeerGone)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait<A: MessageBox>(
        &mut self,
        timeout: Option<Duration>,
    ) -> Result<Message<A>, RequestError> {
        if self.over {
            return Err(RequestError::Over);
        }
        let endpoint = self.handle.endpoint();
        if endpoint.is_forked() {
            return Err(RequestError::Forked);
        }
        let result = endpoint
            .inbox
            .wait_for_reply(self.number, Patience::from_timeout(timeout));
        self.over = !matches!(
            result,
            Err(RequestError::Timeout | RequestError::InboxFull | RequestError::Resources(_))
        );
        if let Err(RequestError::ReceiverDropped | RequestError::Disconnected(_)) = result {
            endpoint.inbox.forget_request(self.number);
        }
        result
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let endpoint = self.handle.endpoint();
        if !self.over && !endpoint.is_forked() {
            endpoint.inbox.forget_request(self.number);
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending")
            .field(self.handle.endpoint())
            .finish()
    }
}

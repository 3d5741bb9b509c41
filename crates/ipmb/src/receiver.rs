//! The receiving half of an endpoint.

use crate::{
    InboxUsage, Message, MessageBox, RecvError, Statistics, handle::Handle, patience::Patience,
};
use std::{
    fmt,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
    time::Duration,
};

/// The receiving half of an endpoint. If several threads receive, each message goes to one of
/// them.
///
/// Dropping it stops delivery to the endpoint: unread messages are dropped with it, and
/// selectors do not mean the endpoint any more. Its sender goes on.
///
/// # Event loops
///
/// The receiver's descriptor ([`AsFd`]) polls readable while a message waits. (A ring that comes late can
/// make it readable once more: then `try_recv` finds nothing, and it is not readable any more.) Receive with
/// [`try_recv`](Self::try_recv), and do not read from the descriptor.
///
/// ```
/// use ipmb::{Message, Options, Selector, label};
/// use std::time::Duration;
/// # let directory = tempfile::tempdir()?;
/// # let options = |label| Options::new("com.example.recv", label, "").with_runtime_directory(directory.path().join("bus"));
/// let (sender, receiver) = ipmb::join::<String, String>(options(label!("earth")), None)?;
/// sender.send(Message::new(Selector::unicast("earth"), "hello".to_string()))?;
/// assert_eq!(receiver.recv(Some(Duration::from_secs(1)))?.payload, "hello");
/// assert!(receiver.try_recv()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EndpointReceiver<R> {
    handle: Arc<Handle>,
    marker: PhantomData<fn() -> R>,
}

impl<R: MessageBox> EndpointReceiver<R> {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self {
            handle,
            marker: PhantomData,
        }
    }

    /// Waits for the next message, without limit if `timeout` is `None`.
    ///
    /// # Errors
    ///
    /// [`RecvError::Timeout`] if none came in time; [`RecvError::Decode`] if one came that is not
    /// what it says, after which the next call goes on. See [`RecvError`] for the others.
    #[inline(always)]
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Message<R>, RecvError> {
        let endpoint = self.handle.endpoint();
        if endpoint.is_forked() {
            return Err(RecvError::Forked);
        }
        if let Some(payload) = endpoint
            .inbox
            .receive_at_once(timeout != Some(Duration::ZERO))
        {
            return Ok(Message::received(payload, Vec::new(), Vec::new(), None));
        }
        let received = endpoint.inbox.receive(Patience::from_timeout(timeout))?;
        received.ok_or(RecvError::Timeout)
    }

    /// The next message, if one waits.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), but never [`RecvError::Timeout`].
    #[inline(always)]
    pub fn try_recv(&self) -> Result<Option<Message<R>>, RecvError> {
        let endpoint = self.handle.endpoint();
        if endpoint.is_forked() {
            return Err(RecvError::Forked);
        }
        if let Some(payload) = endpoint.inbox.receive_at_once(false) {
            let message = Message::received(payload, Vec::new(), Vec::new(), None);
            return Ok(Some(message));
        }
        endpoint.inbox.receive(Patience::None)
    }

    /// What this endpoint has received that did not reach you.
    ///
    /// ```
    /// # use ipmb::{Options, label};
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.stat", label, "").with_runtime_directory(directory.path().join("bus"));
    /// let (_, receiver) = ipmb::join::<(), ()>(options(label!()), None)?;
    /// assert_eq!(receiver.statistics().skipped, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn statistics(&self) -> Statistics {
        let endpoint = self.handle.endpoint();
        match endpoint.is_forked() {
            true => Statistics::default(),
            false => endpoint.inbox.statistics(),
        }
    }

    /// What each sender has this endpoint keep at the moment, and how much it may. A thread that sleeps in
    /// [`recv`](Self::recv) is woken for it, and sleeps on.
    ///
    /// ```
    /// # use ipmb::{Message, Options, Selector, label};
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.usage", label, "").with_runtime_directory(directory.path().join("bus"));
    /// let (sender, receiver) = ipmb::join::<String, String>(options(label!("earth")), None)?;
    /// sender.send(Message::new(Selector::unicast("earth"), "x".repeat(1000)))?;
    /// assert!(receiver.usage().unread() >= 1000);
    /// receiver.recv(None)?;
    /// assert_eq!(receiver.usage().unread(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn usage(&self) -> InboxUsage {
        let endpoint = self.handle.endpoint();
        match endpoint.is_forked() {
            true => InboxUsage::default(),
            false => endpoint.inbox.usage(),
        }
    }
}

impl<R> AsFd for EndpointReceiver<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.endpoint().inbox.watch()
    }
}

impl<R> AsRawFd for EndpointReceiver<R> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<R> Drop for EndpointReceiver<R> {
    fn drop(&mut self) {
        self.handle.close_receiver();
    }
}

impl<R> fmt::Debug for EndpointReceiver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndpointReceiver")
            .field(self.handle.endpoint())
            .finish()
    }
}

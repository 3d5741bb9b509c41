//! The sending half of an endpoint.

use crate::{
    BusUsage, Loan, LoanError, LoanStatistics, Message, MessageBox, Pending, ReplyTo, RequestError,
    SendError, SendTimeoutError, TrySendError,
    endpoint::{AtOnce, Endpoint},
    handle::Handle,
    loan::Pool,
    patience::Patience,
};
use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

/// The sending half of an endpoint. Clones share it; any number of threads may send at once.
///
/// When all clones and the [`EndpointReceiver`](crate::EndpointReceiver) are dropped, the endpoint
/// leaves the bus. What it has sent before still arrives. The last drop takes as long as the controller takes to notice:
/// if it is stopped, a quarter of a second, and the rest is done in the background; a second if messages are parked
/// that the next controller has to be told of.
///
/// ```
/// use ipmb::{Message, Options, Selector, label};
/// # let directory = tempfile::tempdir()?;
/// # let options = |label| Options::new("com.example.sender", label, "").with_runtime_directory(directory.path().join("bus"));
/// let (sender, _) = ipmb::join::<String, ()>(options(label!("moon")), None)?;
/// // Nobody matches, and the message is not to wait for anybody: it is dropped.
/// sender.send(Message::new(Selector::unicast("earth"), "hello".to_string()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EndpointSender<T> {
    handle: Arc<Handle>,
    marker: PhantomData<fn(T)>,
}

impl<T: MessageBox> EndpointSender<T> {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self {
            handle,
            marker: PhantomData,
        }
    }

    /// Sends a message to whom its selector means.
    ///
    /// It returns when the message is in the inboxes of all that match, or parked, or, with a ttl
    /// of zero and nobody matching, dropped. If a receiver has no room for it, it waits, up to
    /// [`Options::with_send_timeout`](crate::Options::with_send_timeout).
    ///
    /// # Errors
    ///
    /// See [`SendError`]. [`send_timeout`](Self::send_timeout) gives the message back then.
    #[inline]
    pub fn send(&self, message: Message<T>) -> Result<(), SendError> {
        self.send_ref(&message)
    }

    /// As [`send`](Self::send), but the message stays yours: to be sent again, or to be changed where it
    /// is and then sent, which spares making a new one. What is attached to it stays attached; receivers
    /// get their own descriptors of the same objects.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// ```
    /// use ipmb::{BytesMessage, Message, Options, Selector, label};
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.again", label, "").with_runtime_directory(directory.path().join("bus"));
    /// let (sender, receiver) = ipmb::join::<BytesMessage, BytesMessage>(options(label!("moon")), None)?;
    /// let payload = BytesMessage { format: 0, data: vec![0; 64] };
    /// let mut message = Message::new(Selector::unicast("moon"), payload);
    /// for number in 0..3 {
    ///     message.payload.data[0] = number;
    ///     sender.send_ref(&message)?;
    /// }
    /// assert_eq!(receiver.recv(None)?.payload.data[0], 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn send_ref(&self, message: &Message<T>) -> Result<(), SendError> {
        match self.endpoint().send_at_once(message) {
            AtOnce::Sent => Ok(()),
            AtOnce::Full => self.send_in_a_moment(message),
            AtOnce::Not => self.send_patiently(message),
        }
    }

    /// As [`send`](Self::send), but never waits.
    ///
    /// # Errors
    ///
    /// [`SendError::WouldBlock`] if a receiver has no room, or if it is the first message to it and
    /// contact is being made: try again. The message comes back in the error. A message that is
    /// to be parked is taken, and parked in the background.
    ///
    /// ```
    /// use ipmb::{Message, Options, Selector, SendError, label};
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.try", label, "").with_runtime_directory(directory.path().join("bus"));
    /// let (sender, receiver) = ipmb::join::<String, String>(options(label!("moon")), None)?;
    /// let mut message = Message::new(Selector::unicast("moon"), "hello".to_string());
    /// while let Err(error) = sender.try_send(message) {
    ///     assert!(matches!(error.reason, SendError::WouldBlock));
    ///     message = error.message;
    /// }
    /// assert_eq!(receiver.recv(None)?.payload, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_send(&self, message: Message<T>) -> Result<(), TrySendError<T>> {
        match self.endpoint().send_at_once(&message) {
            AtOnce::Sent => Ok(()),
            AtOnce::Full | AtOnce::Not => self.endpoint().send_patiently(message, Patience::None),
        }
    }

    /// As [`send`](Self::send), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendError::Timeout`], and those of `send`. The message comes back in the error; of a
    /// multicast, the error says how many have got it.
    #[inline]
    pub fn send_timeout(
        &self,
        message: Message<T>,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        match self.endpoint().send_at_once(&message) {
            AtOnce::Sent => Ok(()),
            AtOnce::Full | AtOnce::Not => {
                let patience = Patience::from_timeout(Some(timeout));
                self.endpoint().send_patiently(message, patience)
            }
        }
    }

    /// Sends a request to the endpoint that its selector means, a unicast one. [`Pending::wait`] waits
    /// for the reply.
    ///
    /// It takes what two messages take, and any number of threads may have any number of requests
    /// under way. The selector's ttl works as for other messages: a request that nobody matches waits
    /// for somebody. The reply arrives in this endpoint's inbox, in the order of all that its
    /// sender sends, and goes to `wait`, not to [`recv`](crate::EndpointReceiver::recv).
    ///
    /// It waits as [`send`](Self::send) does.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]. Nothing was sent.
    ///
    /// ```
    /// use ipmb::{Message, Options, Selector, label};
    /// use std::{thread, time::Duration};
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.request", label, "").with_runtime_directory(directory.path().join("bus"));
    /// // In one program:
    /// let (answers, questions) = ipmb::join::<u64, u32>(options(label!("calculator")), None)?;
    /// thread::spawn(move || {
    ///     while let Ok(question) = questions.recv(None) {
    ///         if let Some(asker) = question.reply_to() {
    ///             let _ = answers.reply(asker, u64::from(question.payload).pow(2));
    ///         }
    ///     }
    /// });
    ///
    /// // In another:
    /// let (sender, _receiver) = ipmb::join::<u32, ()>(options(label!("pupil")), None)?;
    /// let question = Message::new(Selector::unicast("calculator"), 12);
    /// let answer = sender.request(question)?.wait::<u64>(Some(Duration::from_secs(10)))?;
    /// assert_eq!(answer.payload, 144);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request(&self, message: Message<T>) -> Result<Pending, RequestError> {
        // Before it is sent: the count is an atomic that would wait until all of the request is written.
        let handle = Arc::clone(&self.handle);
        let number = self.endpoint().ask(&message, self.patience())?;
        Ok(Pending::new(handle, number))
    }

    /// Replies to a request: sends [`Message::reply`].
    ///
    /// # Errors
    ///
    /// See [`SendError`]. That who asked is gone, or waits no more, is none.
    pub fn reply(&self, to: ReplyTo, payload: T) -> Result<(), SendError> {
        self.send(Message::reply(to, payload))
    }

    /// A buffer of `len` bytes in shared memory, to be filled in place, [frozen](Loan::freeze) and
    /// sent as [`Bytes`](crate::Bytes), by itself or in a payload. It is not copied on its way, whatever
    /// its size, and a multicast shows all receivers the same memory.
    ///
    /// The memory comes from a pool of the endpoint, and goes back there when nobody uses it any
    /// more. Some of it is kept: what has not been used for some 5 seconds is given back when other
    /// loans are made.
    ///
    /// # Errors
    ///
    /// [`LoanError::Resources`] if there is no such amount of memory, or no free descriptor (a buffer
    /// takes one, small ones share them).
    ///
    /// ```
    /// use ipmb::{Bytes, Message, Options, Selector, TypeUuid, label};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, TypeUuid)]
    /// #[uuid = "b1c6a2a2-5d4e-4b52-9d0f-0e9f3d3f5a01"]
    /// struct Frame { width: u32, height: u32, pixels: Bytes }
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.loan", label, "").with_runtime_directory(directory.path().join("bus"));
    /// # let (_, viewer) = ipmb::join::<(), Frame>(options(label!("viewer")), None)?;
    /// let (sender, _) = ipmb::join::<Frame, ()>(options(label!("camera")), None)?;
    /// let mut loan = sender.loan(640 * 480)?;
    /// loan.fill(7);
    /// let frame = Frame { width: 640, height: 480, pixels: loan.freeze() };
    /// sender.send(Message::new(Selector::multicast("viewer"), frame))?;
    ///
    /// # let frame = viewer.recv(None)?.payload;
    /// assert!(frame.pixels.is_shared() && frame.pixels[0] == 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loan(&self, len: usize) -> Result<Loan, LoanError> {
        let endpoint = self.endpoint();
        if endpoint.is_forked() {
            return Err(LoanError::Forked);
        }
        Loan::take(endpoint.loans.get_or_init(Pool::new), len)
    }

    /// What the endpoint has lent, and not got back.
    pub fn loan_statistics(&self) -> LoanStatistics {
        let pool = self.endpoint().loans.get();
        pool.map_or_else(LoanStatistics::default, |pool| pool.statistics())
    }

    /// What this endpoint uses of the bus at the moment, and how much there is of it. It takes a look at the whole
    /// directory, some microseconds for each endpoint.
    ///
    /// What is parked is what this endpoint knows to be: the controller may have delivered it already.
    ///
    /// ```
    /// use ipmb::{Message, Options, Selector, label};
    /// use std::time::Duration;
    /// # let directory = tempfile::tempdir()?;
    /// # let options = |label| Options::new("com.example.usage", label, "").with_runtime_directory(directory.path().join("bus"));
    /// let (sender, _receiver) = ipmb::join::<String, ()>(options(label!("earth")), None)?;
    /// let mut selector = Selector::unicast("mars");
    /// selector.ttl = Duration::from_secs(60);
    /// sender.send(Message::new(selector, "are you there?".to_string()))?;
    ///
    /// let usage = sender.usage();
    /// assert_eq!(usage.parked_messages.to_string(), "1 of 4096");
    /// assert!(usage.parked_bytes.left() > 60 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn usage(&self) -> BusUsage {
        let endpoint = self.endpoint();
        match endpoint.is_forked() {
            true => BusUsage::default(),
            false => endpoint.usage(),
        }
    }

    #[cold]
    fn send_in_a_moment(&self, message: &Message<T>) -> Result<(), SendError> {
        self.endpoint().await_room(message.selector());
        match self.endpoint().send_at_once(message) {
            AtOnce::Sent => Ok(()),
            AtOnce::Full | AtOnce::Not => self.send_patiently(message),
        }
    }

    #[cold]
    fn send_patiently(&self, message: &Message<T>) -> Result<(), SendError> {
        self.endpoint().send_ref_patiently(message, self.patience())
    }

    fn patience(&self) -> Patience {
        match self.endpoint().options.send_timeout {
            None => Patience::Endless,
            timeout => Patience::from_timeout(timeout),
        }
    }

    #[inline]
    fn endpoint(&self) -> &Endpoint {
        self.handle.endpoint()
    }
}

impl<T> Clone for EndpointSender<T> {
    fn clone(&self) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
            marker: PhantomData,
        }
    }
}

impl<T> fmt::Debug for EndpointSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndpointSender")
            .field(self.handle.endpoint())
            .finish()
    }
}

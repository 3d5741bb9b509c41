//! An interprocess message bus: processes [`join`] a named bus, [`send`](EndpointSender::send)
//! typed messages to labels, [`recv`](EndpointReceiver::recv) what is addressed to them, and pass
//! kernel objects and shared memory along. There is no server.
//!
//! ```
//! use ipmb::{Message, Options, Selector, label};
//!
//! # let directory = tempfile::tempdir()?;
//! # let here = directory.path().join("bus");
//! // In one program:
//! let options = Options::new("com.example.app", label!("earth"), "");
//! # let options = options.with_runtime_directory(&here);
//! let (_, receiver) = ipmb::join::<String, String>(options, None)?;
//!
//! // In another:
//! let options = Options::new("com.example.app", label!("moon"), "");
//! # let options = options.with_runtime_directory(&here);
//! let (sender, _) = ipmb::join::<String, String>(options, None)?;
//! sender.send(Message::new(Selector::unicast("earth"), "hello".to_string()))?;
//!
//! assert_eq!(receiver.recv(None)?.payload, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rest of this page is a guide. The folder `examples` has a program for each part of it.
//!
//! # Joining
//!
//! A bus is all endpoints that joined one *identifier*, in one runtime directory. An *endpoint* is
//! one [`join`]: an [`EndpointSender`] and an [`EndpointReceiver`]; a process may have several.
//! The first endpoint to join makes the bus and becomes its *controller*, which knows who is
//! there and introduces endpoints to each other. Messages do not pass through it.
//!
//! When `join` has returned, whatever anybody sends reaches the endpoint. There is nothing to
//! wait for and nothing to try again.
//!
//! The *token* is the secret of the bus. It keeps out processes of the same user that were not
//! told; other users are kept out by the runtime directory, unless the [`Scope`] is `System`. Take
//! a long, random one.
//!
//! [`Options`] says the rest. An endpoint that must not serve the others, say because it is
//! stopped in a debugger now and then, joins [without affinity](Options::with_controller_affinity).
//!
//! Dropping the receiver stops delivery to the endpoint, and its sender goes on. When the receiver
//! and all clones of the sender are dropped, the endpoint leaves. What it has sent still arrives.
//!
//! # Messages and their types
//!
//! A [`Message`] is a payload, objects and memory regions. `join` is told two payload types, one
//! to send and one to receive. Anything that serde knows and that has a UUID will do, as will
//! strings, numbers, `()` and vectors of bytes; [`MessageBox`] makes one type of several.
//!
//! ```
//! use ipmb::{MessageBox, TypeUuid};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, TypeUuid)]
//! #[uuid = "a1e55f34-6b0d-4be6-8f3c-6a6a10e1a0c8"]
//! struct Temperature {
//!     kelvin: f32,
//! }
//!
//! #[derive(MessageBox)]
//! enum Weather {
//!     Temperature(Temperature),
//!     Remark(String),
//! }
//! ```
//!
//! The UUID is what tells types apart, so take a new one for each type, and another one when the
//! type changes. Two programs need not share an enum: it is the types in it that count. A message
//! of a type that a receiver does not know is skipped and [counted](Statistics::skipped). For
//! data with an encoding of its own there is [`BytesMessage`], or a [`MessageBox`] by hand.
//!
//! A message is encoded straight into memory that its receiver reads. Up to the
//! [limit](Options::with_message_limit) any size is fine: a large one streams.
//!
//! # Selectors
//!
//! A [`Label`] is a set of words, and says who an endpoint is. A [`Selector`] has an expression
//! over labels, [`LabelOp`], and a mode: *unicast* goes to one of those that match, the one that
//! joined first; *multicast* goes to all of them, the sender's own endpoint included.
//!
//! ```
//! use ipmb::{LabelOp, Selector, label};
//!
//! let selector = Selector::multicast(LabelOp::from("camera").and(!LabelOp::from("left")));
//! assert!(selector.label_op.validate(&label!("camera", "right")));
//! let everybody = Selector::multicast(LabelOp::True);
//! ```
//!
//! Labels are no permissions: whoever is on the bus may carry any of them.
//!
//! # Parking
//!
//! A message that matches nobody is dropped, and `send` is `Ok`, unless its selector has a time to
//! live. Then it is parked: it waits for the first endpoint that matches, and is there when that
//! endpoint's `join` returns.
//!
//! ```
//! use ipmb::{Message, Options, Selector, label};
//! use std::time::Duration;
//!
//! # let directory = tempfile::tempdir()?;
//! # let options = |label| Options::new("com.example.guide", label, "").with_runtime_directory(directory.path().join("bus"));
//! let (sender, _) = ipmb::join::<String, ()>(options(label!("moon")), None)?;
//! let mut selector = Selector::unicast("mars");
//! selector.ttl = Duration::from_secs(60);
//! sender.send(Message::new(selector, "welcome".to_string()))?;
//!
//! let (_, receiver) = ipmb::join::<(), String>(options(label!("mars")), None)?;
//! assert_eq!(receiver.recv(None)?.payload, "welcome");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The controller keeps it, and so does the sender: it survives the death of either.
//!
//! # Objects
//!
//! [`Message::objects`] are kernel objects, on Linux file descriptors, that are handed over with
//! the message: pipes, sockets, files, GPU buffers. Any number, see [`Object`]. They are closed
//! exactly once, whatever happens to the message. Objects from others are to be checked like
//! any other input: a member can send you any descriptor.
//!
//! # Memory regions
//!
//! A [`MemoryRegion`] is shared memory. Sent in [`Message::memory_regions`], it arrives without a
//! copy. A [`MemoryRegistry`] hands out regions that nobody holds any more again.
//!
//! ```
//! use ipmb::{MemoryRegistry, Message, Selector};
//!
//! let mut registry = MemoryRegistry::default();
//! let mut frame = registry.alloc(1 << 20, Some("frames"));
//! frame.map(..)?.fill(7);
//! let mut message = Message::new(Selector::multicast("screen"), 1u32);
//! message.memory_regions.push(frame); // comes back when the last receiver has dropped it
//! # Ok::<(), ipmb::MapError>(())
//! ```
//!
//! All holders can write to it, at any time. Agree on who does when, and copy what you check
//! before you check it.
//!
//! # Loans
//!
//! A [`Loan`] is a buffer in shared memory, filled in place and sent as [`Bytes`], without a copy at
//! either end. `Bytes` can be a payload, or stand anywhere in one. Receivers can only read, and what
//! they have dropped is lent again: see [`EndpointSender::loan`].
//!
//! ```
//! use ipmb::{Bytes, Message, Options, Selector, label};
//!
//! # let directory = tempfile::tempdir()?;
//! # let options = |label| Options::new("com.example.guide", label, "").with_runtime_directory(directory.path().join("bus"));
//! # let (_, screen) = ipmb::join::<(), Bytes>(options(label!("screen")), None)?;
//! let (sender, _) = ipmb::join::<Bytes, ()>(options(label!("camera")), None)?;
//! let mut loan = sender.loan(1 << 20)?;
//! loan.fill(7);
//! sender.send(Message::new(Selector::multicast("screen"), loan.freeze()))?;
//! # let frame = screen.recv(None)?.payload;
//! assert!(frame.is_shared() && frame.iter().all(|&pixel| pixel == 7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Requests
//!
//! [`request`](EndpointSender::request) sends a message that asks for a reply, and gives a [`Pending`]
//! on which to [`wait`](Pending::wait) for it. Whoever receives the message finds in
//! [`Message::reply_to`] whom to [`reply`](EndpointSender::reply) to, at any time and from any thread.
//! A reply goes to who waits for it and not to `recv`; its type has nothing to do with what the
//! endpoint receives otherwise. Objects and memory regions can go both ways: see [`Message::reply`].
//!
//! ```
//! use ipmb::{Message, Options, Selector, label};
//! use std::thread;
//!
//! # let directory = tempfile::tempdir()?;
//! # let options = |label| Options::new("com.example.guide", label, "").with_runtime_directory(directory.path().join("bus"));
//! let (answers, questions) = ipmb::join::<u64, String>(options(label!("counter")), None)?;
//! thread::spawn(move || {
//!     while let Ok(question) = questions.recv(None) {
//!         if let Some(asker) = question.reply_to() {
//!             let _ = answers.reply(asker, question.payload.len() as u64);
//!         }
//!     }
//! });
//!
//! let (sender, _receiver) = ipmb::join::<String, ()>(options(label!("writer")), None)?;
//! let question = Message::new(Selector::unicast("counter"), "how long is this?".to_string());
//! assert_eq!(sender.request(question)?.wait::<u64>(None)?.payload, 17);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! If who was asked dies, leaves, or drops its receiver before it has replied, waiting ends with
//! [`RequestError::PeerGone`]; what it had replied before still arrives. A request that the asked one
//! does not understand is skipped as any message is, so give `wait` a timeout unless you know better.
//! An endpoint that asks has to keep its receiver, though nobody need use it.
//!
//! # Event loops
//!
//! [`EndpointReceiver`] is [`AsFd`](std::os::fd::AsFd): the descriptor polls readable while a
//! message waits, in `poll`, `epoll`, async runtimes and the loops of GUIs. Receive with
//! [`try_recv`](EndpointReceiver::try_recv) until there is nothing, and never read from the
//! descriptor itself.
//!
//! ```
//! use rustix::event::{PollFd, PollFlags, poll};
//! # use ipmb::{Message, Options, Selector, label};
//! # let directory = tempfile::tempdir()?;
//! # let options = Options::new("com.example.guide", label!("earth"), "").with_runtime_directory(directory.path().join("bus"));
//! # let (sender, receiver) = ipmb::join::<String, String>(options, None)?;
//! # sender.send(Message::new(Selector::unicast("earth"), "hello".to_string()))?;
//! # let mut count = 0;
//!
//! poll(&mut [PollFd::new(&receiver, PollFlags::IN)], None)?;
//! while let Some(message) = receiver.try_recv()? {
//!     println!("received: {}", message.payload);
//! #   count += 1;
//! }
//! # assert_eq!(count, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For sending there is [`try_send`](EndpointSender::try_send), which never waits.
//!
//! # Receivers that are slow
//!
//! A message lies in the receiver's inbox until it is received. How much room each sender has
//! there is the receiver's [budget](Options::with_inbox_budget). When it is used up, the
//! receiver's [`Overflow`] decides: the sender waits (up to its own
//! [timeout](Options::with_send_timeout)), or the newest or the oldest message is dropped and
//! [counted](Statistics::dropped). Nobody waits but those who send to that receiver.
//!
//! # Quotas
//!
//! What one endpoint can make others keep is bounded, and so is what they can make it keep. How much of it is used is
//! told by [`EndpointSender::usage`] (endpoints, the directory, parked messages, and for each receiver what it has not read) and
//! [`EndpointReceiver::usage`] (for each sender, what waits), each as a [`Quota`] with its limit beside it:
//!
//! ```
//! use ipmb::{Message, Options, Selector, label};
//!
//! # let directory = tempfile::tempdir()?;
//! # let options = |label| Options::new("com.example.guide", label, "").with_runtime_directory(directory.path().join("bus"));
//! # let (_, receiver) = ipmb::join::<(), String>(options(label!("earth")), None)?;
//! let (sender, _) = ipmb::join::<String, ()>(options(label!("moon")), None)?;
//! for text in ["hello", "are you there?"] {
//!     sender.send(Message::new(Selector::unicast("earth"), text.to_string()))?;
//! }
//! assert_eq!(receiver.recv(None)?.payload, "hello");
//!
//! println!("endpoints: {}", sender.usage().endpoints); // endpoints: 2 of 4096
//! # assert_eq!(sender.usage().endpoints.to_string(), "2 of 4096");
//! for moon in receiver.usage().senders {
//!     println!("{} bytes wait from process {}", moon.unread, moon.pid);
//!     assert!(moon.unread > 0 && moon.mapped.left() > 0);
//! }
//! # assert_eq!(receiver.usage().senders.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is counted for it: it is worked out when you ask. What users have together only the controller can see; it
//! logs a warning (with `tracing`) when three quarters of such a quota are used. Past a quota, errors say how much is
//! used and how much there is.
//!
//! # Errors
//!
//! Each operation has an error of its own: [`JoinError`], [`SendError`], [`RecvError`],
//! [`RequestError`], [`MapError`]. What they say is meant to be shown: it says what to do. After an error nothing
//! was sent, with the exception that [`TrySendError::delivered`] counts. Except for
//! [`RecvError::Disconnected`] and its like in the others, which say that the endpoint is off the
//! bus for good, the next call goes on as if nothing had been.
//!
//! # Threads
//!
//! Senders can be cloned and shared. Receivers can be shared too: each message goes to one of the
//! threads that wait. Each endpoint has one thread of its own, which deals with the controller (or
//! is it) and otherwise sleeps; idle endpoints use no processor time. Nothing here is async, and
//! nothing needs a runtime.
//!
//! After `fork`, the endpoints in the child are dead and calls on them return `Forked`; those of
//! the parent go on. Join again in the child.
//!
//! # When processes die
//!
//! * **A receiver.** Senders notice at their next message, at once if they wait. What it had not
//!   received is lost with it; what is sent from then on goes to others that match. Who waits for
//!   its reply is told at once.
//! * **A sender.** What it had sent is received.
//! * **The controller.** Another endpoint takes over. Endpoints that know each other notice
//!   nothing. Who joins, or writes to somebody for the first time, waits until then, some
//!   milliseconds. Parked messages stay parked.
//! * **A holder of a memory region.** Its share is given back when the region's registry next
//!   looks for memory, or in [`maintain`](MemoryRegistry::maintain).
//! * **Everybody.** Nothing is left but at most two empty files, which the next `join` uses.

#![allow(
    clippy::result_large_err,
    reason = "a failed send gives the message back"
)]

extern crate self as ipmb;

mod barrier;
mod bytes;
mod codec;
mod driver;
mod endpoint;
mod errors;
mod handle;
mod inbox;
mod label;
mod loan;
mod memory;
mod message;
mod object;
mod options;
mod patience;
mod peer;
pub mod platform;
mod receiver;
mod region;
mod request;
mod sender;
mod usage;
mod version;

pub use bytes::BytesMessage;
pub use codec::{Sink, decode, encode, encode_into};
pub use errors::{
    DecodeError, EncodeError, Error, JoinError, MapError, RecvError, SendError, SendTimeoutError,
    TrySendError,
};
pub use inbox::Statistics;
pub use ipmb_core::{Label, LabelOp, Overflow, Quota, Selector, SelectorMode, Version};
pub use ipmb_derive::{MessageBox, TypeUuid};

pub use ipmb_sys::{Obstacle, RuntimeDirectoryError, Scope};
pub use loan::{Bytes, Loan, LoanError, LoanStatistics};
pub use message::{Message, MessageBox};
pub use object::Object;
pub use options::Options;
pub use receiver::EndpointReceiver;
pub use region::{MemoryRegion, MemoryRegistry};
pub use request::{Pending, ReplyTo, RequestError};
pub use sender::EndpointSender;
pub use type_uuid;
pub use usage::{BusUsage, InboxUsage, ReceiverUsage, SenderUsage};
pub use uuid_trait::*;
pub use version::{version, version_pre};

use std::{sync::Arc, time::Duration};

/// Joins a bus, and makes it if it does not exist.
///
/// When it returns, whatever anybody sends to the endpoint's label reaches it. `None` waits
/// without limit.
///
/// # Errors
///
/// See [`JoinError`]. Nothing is left behind.
///
/// ```
/// use ipmb::{Options, label};
/// # let directory = tempfile::tempdir()?;
/// # let options = |label| Options::new("com.example.join", label, "").with_runtime_directory(directory.path().join("bus"));
/// let (sender, receiver) = ipmb::join::<String, String>(options(label!("earth")), None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn join<T: MessageBox, R: MessageBox>(
    options: Options,
    timeout: Option<Duration>,
) -> Result<(EndpointSender<T>, EndpointReceiver<R>), JoinError> {
    let handle = handle::Handle::join(options, patience::Patience::from_timeout(timeout))?;
    let handle = Arc::new(handle);
    Ok((
        EndpointSender::new(Arc::clone(&handle)),
        EndpointReceiver::new(handle),
    ))
}

/// The trait alone: its derive names a crate that users of ipmb need not know, ours does not.
mod uuid_trait {
    pub use type_uuid::TypeUuid;
}

/// What the harnesses in `fuzz/` drive.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod __fuzzing {
    pub use crate::inbox::fuzzing::*;
}

/// What the derives name.
#[doc(hidden)]
pub mod __private {
    pub use crate::bytes::Received;
    pub use ::serde;
    pub use core::result::Result;
    pub use std::vec::Vec;
    pub use type_uuid;
}

/// The snippets of the README have to compile.
#[doc = include_str!("../../../README.md")]
#[cfg(doctest)]
struct Readme;

//! An interprocess message bus: processes [`join`] a named bus, [`send`](EndpointSender::send)
//! typed messages to labels, [`recv`](EndpointReceiver::recv) what is addressed to them, and pass
//! kernel objects and shared memory along. There is no server.

#![allow(
    clippy::result_large_err,
    reason = "a failed send gives the message back"
)]

extern crate self as ipmb;

mod codec;
mod driver;
mod endpoint;
mod errors;
mod handle;
mod inbox;
mod label;
mod memory;
mod message;
mod object;
mod options;
mod peer;
pub mod platform;
mod receiver;
mod region;
mod sender;
mod version;

pub use codec::{Sink, decode, encode, encode_into};
pub use errors::{
    DecodeError, EncodeError, Error, JoinError, MapError, RecvError, SendError, SendTimeoutError,
    TrySendError,
};
pub use inbox::Statistics;
pub use ipmb_core::{Label, LabelOp, Overflow, Selector, SelectorMode, Version};
pub use ipmb_derive::{MessageBox, TypeUuid};

pub use ipmb_sys::{RuntimeDirectoryError, Scope};
pub use message::{BytesMessage, Message, MessageBox};
pub use object::Object;
pub use options::Options;
pub use receiver::EndpointReceiver;
pub use region::{MemoryRegion, MemoryRegistry};
pub use sender::EndpointSender;
pub use type_uuid;
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
    let handle = handle::Handle::join(options, inbox::Patience::from_timeout(timeout))?;
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

/// What the derives name.
#[doc(hidden)]
pub mod __private {
    pub use ::serde;
    pub use core::result::Result;
    pub use std::vec::Vec;
    pub use type_uuid;
}

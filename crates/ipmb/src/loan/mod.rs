//! Messages that are not copied: memory that a sender lends to those who receive from it.
//!
//! * `pool`: the memory of one endpoint, in chunks that are lent and come back;
//! * `account`: what one receiver has of it, and what it has given back;
//! * `bytes`: what users see of a chunk;
//! * `scope`: how it gets into a payload and out again;
//! * `ledger`: the receiving side.

mod account;
mod bytes;
mod ledger;
mod pool;
mod scope;

pub use bytes::{Bytes, Loan};
pub(crate) use ledger::{Ledger, Views};
pub use pool::LoanStatistics;
pub(crate) use pool::{AccountId, Pool};
pub(crate) use scope::{Collector, Loans, decoding, not_collecting, resolving};

use std::io;
use thiserror::Error;

/// Why there is no memory to lend.
///
/// ```
/// use ipmb::{LoanError, Options, label};
/// # let directory = tempfile::tempdir()?;
/// # let options = Options::new("com.example.loan", label!("camera"), "").with_runtime_directory(directory.path().join("bus"));
/// let (sender, _) = ipmb::join::<ipmb::Bytes, ()>(options, None)?;
/// assert!(matches!(sender.loan(usize::MAX), Err(LoanError::Resources(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoanError {
    /// There is no such amount of memory, or no free descriptor.
    #[error("there is no memory to lend: {0}; drop what is not needed, or ask for less")]
    Resources(#[source] io::Error),
    /// The endpoint was made before this process was forked off.
    #[error("the endpoint belongs to the parent process: join again after a fork")]
    Forked,
}

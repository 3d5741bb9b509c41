//! The Linux backend (5.10 and later).

mod barrier;
mod call;
mod channel;
mod claim;
mod credentials;
mod descriptors;
mod directory;
mod doorbell;
#[cfg(feature = "faults")]
pub mod faults;
mod fork;
mod lock;
mod map;
mod memory;
mod obstacle;
mod poller;
mod process;
mod rendezvous;
mod seat;
mod several;
mod thread;

pub use barrier::{
    has_process_barrier, is_single_threaded, join_process_barriers, process_barrier,
};
pub use channel::{Channel, ChannelRecvError, ChannelSendError, MAX_OBJECTS, MAX_PACKET};
pub use claim::{Claim, is_leased, lease};
pub use credentials::{Credentials, namespaces};
pub use descriptors::{
    descriptor_limit, duplicate, is_lack, is_out_of_descriptors, out_of_descriptors,
};
pub use directory::{RuntimeDirectory, RuntimeDirectoryError, Scope};
pub use doorbell::{Doorbell, Heard, Hearing};
pub use fork::{ForkGuard, follow_forks, fork_generation};
pub use map::{Access, MapError, is_immutable, map_memory};
pub use memory::{Mapping, Purpose, create_memory, page_size, publish_bytes};
pub use obstacle::Obstacle;
pub use poller::{Event, Interest, Poller, wait_readable, wait_writable};
pub use process::{ProcessWatch, boot_time_ns, has_one_processor, random};
pub use rendezvous::{ConnectError, Rendezvous, Watch};
pub use seat::{Listener, Seat};
pub use several::{SMALL_PACKET, SmallPacket};
pub use thread::start_thread;

/// A kernel object that this process owns: on Linux a file descriptor.
pub type OwnedObject = std::os::fd::OwnedFd;
/// A kernel object on loan.
pub type BorrowedObject<'a> = std::os::fd::BorrowedFd<'a>;
/// The number of a kernel object in this process.
pub type RawObject = std::os::fd::RawFd;

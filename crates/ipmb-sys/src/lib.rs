//! Every system call of ipmb, the interprocess message bus, behind one written contract.
//!
//! There is one folder per operating system, with the same file names in each, and no trait: the
//! backend is chosen by `cfg`, and `tests/conformance` runs against whichever was chosen. This
//! page is what a backend promises; the items say the rest.
//!
//! # Contract
//!
//! **Objects.** An [`OwnedObject`] is a handle of the kernel that this process owns and closes
//! exactly once. No handle that a backend makes survives `exec`.
//!
//! **Nothing blocks** but what has `wait` in its name, and that takes a timeout. A call that a
//! signal interrupts goes on by itself. A peer cannot make a call block by changing what it
//! shares with us, with the one exception that [`Doorbell::ring`] names.
//!
//! **Disconnected means dead.** A full queue, a packet that is too long, or a process that has no
//! descriptors left is never reported as a peer that went away.
//!
//! **[`Channel`]**: packets with objects, both ways, between two processes. A packet arrives whole
//! with all its objects, or it stays where it is. What was sent before a peer died is still
//! received.
//!
//! **[`Mapping`]**: shared memory that cannot shrink under its reader. [`map_memory`] takes an
//! object from a peer that may be hostile: what it maps can be read to the last byte.
//!
//! **[`Doorbell`]**: counts nothing; rings coalesce; a ring before the wait ends the wait.
//!
//! **[`Poller`]**: waits for many objects at once. **[`ProcessWatch`]**: the death of a process
//! as an object to wait for. **[`Claim`]**: a numbered slot in a memory region that the kernel
//! frees when its holder dies. A [`lease`] tells the same of a single receiver, from the moment it is
//! sent.
//!
//! **[`process_barrier`]**: a full fence in all threads of all processes that
//! [take part](join_process_barriers), so that the side of a race that runs often needs none. May be
//! [missing](has_process_barrier).
//!
//! **[`Rendezvous`]**: where the endpoints of one bus find each other. At most one [`Seat`] exists
//! per bus and machine; the kernel frees it when its holder dies, however it dies, and wakes all
//! that watch. Whoever holds it may [serve](Seat::serve) connections.
//!
//! **Fork.** In a forked child every control connection, seat and claim of the parent is dead
//! (see [`ForkGuard`]): a child that lives on keeps nothing of its parent's bus alive.
//!
//! All types are `Send + Sync` unless they say otherwise.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("ipmb-sys has no backend for this operating system yet: build on Linux");

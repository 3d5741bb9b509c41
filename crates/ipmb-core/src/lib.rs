//! What an ipmb bus decides, without doing any of it.
//!
//! This crate is a set of plain values and state machines: who an endpoint is ([`Label`]), whom a
//! message is for ([`Selector`]), what stands in a lane ([`MessageHeader`]), who is on the bus
//! ([`Directory`]), how a joiner proves that it is invited ([`handshake`]), what is said on the
//! control plane ([`control`]), and what the controller answers ([`controller`]).
//!
//! There is no I/O, no clock, no thread, no atomic and no randomness in here: time comes in as
//! `now: u64` (nanoseconds of the boot-time clock), randomness as bytes, and what is to be done goes
//! out as values. Everything that a peer can send is parsed with typed errors and within bounds;
//! nothing in here panics on it. All types are `Send + Sync` plain data.

#![forbid(unsafe_code)]

mod directory;
mod frame;
mod identity;
mod label;
mod label_op;
mod limits;
mod packet;
mod parking;
mod selector;
mod version;

pub mod control;
pub mod controller;
pub mod election;
pub mod handshake;
pub mod quota;

pub use directory::*;
pub use frame::*;
pub use identity::*;
pub use label::*;
pub use label_op::*;
pub use limits::*;
pub use packet::*;
pub use parking::ParkUsage;
pub use selector::*;
pub use version::*;

pub use control::*;
pub use controller::*;
pub use election::*;
pub use handshake::*;
pub use quota::*;

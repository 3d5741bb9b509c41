//! Every order of events, as far as so many forced switches of thread go:
//! `RUSTFLAGS="--cfg loom" cargo test -p ipmb-lane --release --test loom`
//!
//! A process that dies in the middle of something is a thread that is not scheduled any more. Loom stops each thread at
//! each of its steps and lets the others go on for as long as they like; so whatever a model asserts while the other
//! side is on its way holds for ever if that side dies there. The models whose names say "dies" are about that.
//!
//! Where it matters, a model is run again with a part of the orderings taken away, and has to fail.
#![cfg(loom)]

mod beacon;
mod biased;
mod cells;
mod common;
mod drop_oldest;
mod log;
mod returns;
mod ring;
mod room;
mod wake;

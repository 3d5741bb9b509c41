//! What has to hold whatever a peer sends: one function for each property, and many engines that drive it.
//!
//! A harness takes any bytes, makes of them what a peer could send or do, and panics if the property does not hold.
//! libFuzzer drives it with inputs that it derives from the code they reach (`cargo xtask fuzz`); the ordinary tests
//! replay what it found (`corpus/`), and add random input.
//!
//! Besides its own assertions each harness is watched by AddressSanitizer under libFuzzer, and counts the memory that
//! the code under test takes ([`meter`]).

mod bus;
mod control;
mod controller;
mod directory;
mod frame;
mod handshake;
mod lane;
pub mod meter;
mod selector;
mod shared;
mod source;
mod wire;

pub use control::control;
pub use controller::controller;
pub use directory::directory;
pub use frame::frame;
pub use handshake::handshake;
pub use lane::lane;
pub use selector::selector;
pub use shared::shared;
pub use source::source;

/// A harness.
pub type Harness = fn(&[u8]);

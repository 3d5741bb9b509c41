//! Objects that are not what they should be.

use ipmb_sys::OwnedObject;
use ipmb_tests::raw::Failure;
use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create, open},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::pipe,
};

/// More than it takes to fill an eventfd.
const FILLS: u32 = 200;

/// How many kinds there are.
pub const KINDS: u64 = 8;

/// An object of a kind that nobody expects.
pub fn other(kind: u64) -> Result<OwnedObject, Failure> {
    Ok(match kind % KINDS {
        0 => pipe()?.0,
        1 => pipe()?.1,
        2 => {
            let flags = SocketFlags::empty();
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?.0
        }
        3 => open("/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?,
        4 => open("/dev/zero", OFlags::RDWR, Mode::empty())?,
        5 => open("/proc/self/exe", OFlags::RDONLY, Mode::empty())?,
        6 => full_and_blocking()?,
        _ => memory(4096, SealFlags::empty())?,
    })
}

/// An eventfd at its maximum, without the non-blocking mode.
pub fn full_and_blocking() -> Result<OwnedObject, Failure> {
    let event = eventfd(0, EventfdFlags::NONBLOCK)?;
    fill(&event)?;
    Ok(event)
}

/// Fills an eventfd, and has it block.
pub fn fill(event: &OwnedObject) -> Result<(), Failure> {
    rustix::fs::fcntl_setfl(event, OFlags::NONBLOCK)?;
    // What is in it already keeps the maximum from fitting. Its owner may empty it meanwhile: then, what is
    // left to add would take for ever.
    let mut part = u64::MAX - 1;
    for _ in 0..FILLS {
        match rustix::io::write(event, &part.to_ne_bytes()) {
            Ok(_) if part == 0 => break,
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN) => part /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    rustix::fs::fcntl_setfl(event, OFlags::empty())?;
    Ok(())
}

/// Memory with certain seals.
pub fn memory(len: u64, seals: SealFlags) -> Result<OwnedObject, Failure> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let object = memfd_create("attack", flags)?;
    ftruncate(&object, len)?;
    if !seals.is_empty() {
        fcntl_add_seals(&object, seals)?;
    }
    Ok(object)
}

/// Memory whose size is fixed, with this at its beginning.
pub fn sealed(len: u64, beginning: &[u8]) -> Result<OwnedObject, Failure> {
    let object = memory(len, SealFlags::empty())?;
    rustix::io::pwrite(&object, beginning, 0)?;
    fcntl_add_seals(
        &object,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(object)
}

//! Kernel objects.

use ipmb_sys::{BorrowedObject, OwnedObject, RawObject};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd},
};

/// A kernel object that is owned here and can be handed to other endpoints: on Linux, a file
/// descriptor. It is closed when dropped.
///
/// ```
/// use std::io::{Read, Write};
/// let (mut reader, writer) = std::io::pipe()?;
/// let object = ipmb::Object::from(std::os::fd::OwnedFd::from(writer));
/// // Handed over in `Message::objects`, it can be used by the one who gets it:
/// let fd: std::os::fd::OwnedFd = object.into();
/// std::fs::File::from(fd).write_all(b"hi")?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hi");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Object(OwnedObject);

impl Object {
    /// Takes over a raw descriptor.
    ///
    /// # Safety
    ///
    /// `raw` is open and owned by the caller, who gives it up.
    pub unsafe fn from_raw(raw: RawObject) -> Self {
        // SAFETY: the caller owns `raw` and gives it up.
        Self(unsafe { OwnedFd::from_raw_fd(raw) })
    }

    /// The raw descriptor, still owned by this object.
    pub fn as_raw(&self) -> RawObject {
        self.0.as_raw_fd()
    }

    /// Gives the raw descriptor up to the caller, who has to close it.
    pub fn into_raw(self) -> RawObject {
        self.0.into_raw_fd()
    }

    /// A second handle of the same kernel object.
    ///
    /// # Errors
    ///
    /// If the process has no free descriptor.
    #[allow(
        clippy::should_implement_trait,
        reason = "it can fail; the name is that of ipmb 0.8"
    )]
    pub fn clone(&self) -> io::Result<Self> {
        ipmb_sys::duplicate(&self.0).map(Self)
    }
}

impl From<OwnedFd> for Object {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Object> for OwnedFd {
    fn from(object: Object) -> Self {
        object.0
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedObject<'_> {
        self.0.as_fd()
    }
}

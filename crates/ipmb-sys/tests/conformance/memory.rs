//! Shared memory, and objects that only look like it.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use ipmb_sys::{
    Access, BorrowedObject, Channel, MapError, Mapping, Purpose, create_memory, is_immutable,
    map_memory, page_size, publish_bytes,
};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

const ANY: std::ops::RangeInclusive<usize> = 1..=usize::MAX;

fn read(mapping: &Mapping, at: usize) -> u8 {
    assert!(at < mapping.len());
    // SAFETY: within the mapping.
    unsafe { mapping.as_ptr().add(at).read_volatile() }
}

fn write(mapping: &Mapping, at: usize, value: u8) {
    assert!(at < mapping.len());
    // SAFETY: within the mapping, which is writable.
    unsafe { mapping.as_ptr().add(at).write_volatile(value) }
}

fn map(object: BorrowedObject<'_>, access: Access) -> Result<Mapping, MapError> {
    map_memory(object, access, ANY)
}

#[test]
fn shared_memory_is_written_by_both() {
    for (len, reserve) in [(1, false), (page_size(), true), (3 * page_size() + 5, true)] {
        let (object, ours) = create_memory(Purpose::Shared, len, reserve).unwrap();
        assert_eq!(ours.len(), len);
        assert_eq!(ours.as_ptr() as usize % page_size(), 0);
        assert!((0..len).all(|at| read(&ours, at) == 0));
        let theirs = map_memory(object.as_fd(), Access::ReadWrite, len..=len).unwrap();
        write(&theirs, len - 1, 5);
        assert_eq!(read(&ours, len - 1), 5);
        drop(object);
        write(&ours, 0, 6);
        assert_eq!(read(&theirs, 0), 6, "mappings outlive the object");
    }
}

#[test]
fn the_size_is_fixed() {
    let objects = [
        create_memory(Purpose::Shared, 5000, false).unwrap().0,
        create_memory(Purpose::Published, 5000, true).unwrap().0,
        publish_bytes(&[&[1; 5000]]).unwrap(),
    ];
    for object in objects {
        for len in [0, 4999, 5001] {
            ftruncate(&object, len).unwrap_err();
        }
        fcntl_add_seals(&object, SealFlags::WRITE).unwrap_err();
    }
}

#[test]
fn published_memory_is_written_by_its_creator_only() {
    let (object, ours) = create_memory(Purpose::Published, 100, true).unwrap();
    let theirs = map(object.as_fd(), Access::ReadOnly).unwrap();
    write(&ours, 50, 8);
    assert_eq!(read(&theirs, 50), 8);
    assert!(matches!(
        map(object.as_fd(), Access::ReadWrite),
        Err(MapError::Io(_))
    ));
    rustix::io::pwrite(&object, b"x", 0).unwrap_err();
    assert!(!is_immutable(object.as_fd()).expect("it can be told"));
}

#[test]
fn published_bytes_never_change() {
    let object = publish_bytes(&[b"one", b"", b"two"]).unwrap();
    assert!(is_immutable(object.as_fd()).expect("it can be told"));
    let mapping = map_memory(object.as_fd(), Access::ReadOnly, 6..=6).unwrap();
    let found: Vec<u8> = (0..6).map(|at| read(&mapping, at)).collect();
    assert_eq!(found, b"onetwo");
    assert!(map(object.as_fd(), Access::ReadWrite).is_err());
    rustix::io::pwrite(&object, b"x", 0).unwrap_err();
}

#[test]
fn sizes_that_cannot_be() {
    for len in [0, usize::MAX, usize::MAX / 2, 1 << 46] {
        let error = create_memory(Purpose::Shared, len, true).unwrap_err();
        let expected = if len == 0 {
            ErrorKind::InvalidInput
        } else {
            ErrorKind::OutOfMemory
        };
        assert_eq!(error.kind(), expected);
    }
    assert_eq!(
        publish_bytes(&[b""]).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn sizes_that_are_not_expected() {
    let (object, _mapping) = create_memory(Purpose::Shared, 4096, false).unwrap();
    for range in [0..=4095, 4097..=usize::MAX] {
        let result = map_memory(object.as_fd(), Access::ReadOnly, range);
        assert!(matches!(result, Err(MapError::Size { found: 4096 })));
    }
    let empty = memory(0, SealFlags::SHRINK | SealFlags::GROW);
    let result = map_memory(empty.as_fd(), Access::ReadOnly, 0..=9);
    assert!(matches!(result, Err(MapError::Size { found: 0 })));
}

#[test]
fn memory_that_can_change_its_size_is_refused() {
    for seals in [
        SealFlags::empty(),
        SealFlags::SHRINK,
        SealFlags::GROW,
        SealFlags::WRITE,
    ] {
        let object = memory(4096, seals);
        assert!(matches!(
            map(object.as_fd(), Access::ReadOnly),
            Err(MapError::Unsealed)
        ));
        assert!(!is_immutable(object.as_fd()).expect("it can be told"));
    }
    let fixed = memory(4096, SealFlags::SHRINK | SealFlags::GROW);
    map(fixed.as_fd(), Access::ReadWrite).unwrap();
}

#[test]
fn other_objects_are_no_memory() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let objects = [
        OwnedFd::from(file),
        OwnedFd::from(Channel::pair().unwrap().0),
        OwnedFd::from(std::fs::File::open("/dev/zero").unwrap()),
        OwnedFd::from(std::fs::File::open("/").unwrap()),
    ];
    for object in objects {
        let result = map(object.as_fd(), Access::ReadOnly);
        // A file on tmpfs has seals, namely one against seals.
        assert!(
            matches!(result, Err(MapError::NotMemory | MapError::Unsealed)),
            "{result:?}"
        );
    }
}

#[test]
fn huge_pages_are_no_memory() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    // Not every kernel has them; making the object needs none to be free.
    let Ok(object) = memfd_create("huge", flags) else {
        return;
    };
    ftruncate(&object, 1 << 21).unwrap();
    fcntl_add_seals(&object, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    assert!(matches!(
        map(object.as_fd(), Access::ReadOnly),
        Err(MapError::NotMemory)
    ));
}

#[test]
fn holes_punched_by_a_peer_read_as_zero() {
    let (object, ours) = create_memory(Purpose::Shared, page_size(), true).unwrap();
    write(&ours, 0, 1);
    let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&object, flags, 0, page_size() as u64).unwrap();
    assert_eq!(read(&ours, 0), 0);
}

fn memory(len: u64, seals: SealFlags) -> OwnedFd {
    let object = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&object, len).unwrap();
    fcntl_add_seals(&object, seals).unwrap();
    object
}

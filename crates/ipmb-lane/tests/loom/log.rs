//! The log of the directory.

use super::common::*;
use ipmb_lane::*;

fn read_while_it_is_written() {
    let memory = HeapMemory::new(64 + 2 * 16);
    let mut writer = LogWriter::create(memory.clone(), 7).unwrap();
    writer.append(b"1111").unwrap();
    let mut reader = LogReader::attach(memory).unwrap();
    let writing = thread::spawn(move || {
        writer.append(b"2222").unwrap();
        writer.replace([&b"3333"[..]].into_iter()).unwrap();
        writer.replace([&b"4444"[..], b"5555"].into_iter()).unwrap();
    });
    let moments: [&[&[u8]]; 4] = [
        &[b"1111"],
        &[b"1111", b"2222"],
        &[b"3333"],
        &[b"4444", b"5555"],
    ];
    let (mut list, mut new, mut at) = (Vec::new(), Vec::new(), 0);
    let mut look = || {
        match reader.read(&mut new).unwrap() {
            LogRead::Snapshot => list.clear(),
            LogRead::Delta => {}
            _ => assert!(new.is_empty()),
        }
        list.append(&mut new);
        let now = moments.iter().position(|moment| *moment == list);
        let now = now.unwrap_or_else(|| panic!("{list:?} never was"));
        assert!(now >= at);
        at = now;
        !reader.changed()
    };
    look();
    look();
    writing.join().unwrap();
    look();
    assert!(look());
    assert_eq!(at, 3);
}

/// Also if the writer dies: each look but the last two is while it writes.
#[test]
fn a_log_is_read_as_it_was_at_some_moment() {
    explore(3, read_while_it_is_written);
}

#[test]
#[should_panic]
fn loom_finds_a_log_that_is_torn_without_fences() {
    explore_weakened(Weak::Fences, 3, read_while_it_is_written);
}

#[test]
#[should_panic]
fn loom_finds_a_record_that_is_published_too_early() {
    explore_weakened(Weak::Stores, 3, read_while_it_is_written);
}

//! The beacon, and what it stands for: that a directory is out of date.

use super::common::*;
use ipmb_lane::*;

#[test]
fn of_two_who_raise_the_beacon_the_higher_one_is_seen() {
    explore(3, || {
        let memory = HeapMemory::new(64);
        let word = Word::new(memory.clone(), 0).unwrap();
        word.store(1);
        let other = thread::spawn(move || Word::new(memory, 0).unwrap().raise(3));
        let before = word.raise(2);
        assert!(matches!(before, 1 | 3));
        assert!(matches!((other.join().unwrap(), word.load()), (1 | 2, 3)));
    });
}

/// A controller publishes a join in its log, raises the beacon of those who still look at another's, and only then
/// acknowledges the join. Whoever does not see the beacon sends before that.
fn raise_behind_the_log() {
    let (page, memory) = (HeapMemory::new(64), HeapMemory::new(64 + 2 * 16));
    let mut log = LogWriter::create(memory.clone(), 2).unwrap();
    let mut reader = LogReader::attach(memory).unwrap();
    let beacon = Word::new(page.clone(), 0).unwrap();
    let controller = thread::spawn(move || {
        log.append(b"join").unwrap();
        Word::new(page, 0).unwrap().raise(2);
    });
    if beacon.load() == 2 {
        let mut records = Vec::new();
        reader.read(&mut records).unwrap();
        assert_eq!(records, [b"join"]);
    }
    controller.join().unwrap();
}

#[test]
fn who_sees_the_beacon_sees_the_join() {
    explore(3, raise_behind_the_log);
}

#[test]
#[should_panic]
fn loom_finds_a_beacon_that_is_raised_too_early() {
    explore_weakened(Weak::Exchanges, 3, raise_behind_the_log);
}

//! Every harness with its corpus, and with random input.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipmb_fuzz::HARNESSES;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Some harnesses count the descriptors of this process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The corpus of a target: its files, by their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = files
        .map(|file| {
            let file = file.expect("a file");
            let name = file.file_name().to_string_lossy().into_owned();
            (name, fs::read(file.path()).expect("it can be read"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_corpus_still_holds() {
    let _alone = alone();
    for (target, harness) in HARNESSES {
        let corpus = corpus(target);
        assert!(!corpus.is_empty(), "{target} has no corpus");
        for (name, input) in corpus {
            // Shown if the test fails.
            println!("{target}/{name}");
            harness(&input);
        }
    }
}

#[test]
fn random_input_holds() {
    let _alone = alone();
    for (target, harness) in HARNESSES {
        let input = proptest::collection::vec(proptest::num::u8::ANY, 0..400);
        let done = TestRunner::new(Config::default()).run(&input, |input| {
            harness(&input);
            Ok(())
        });
        done.unwrap_or_else(|error| panic!("{target}: {error}"));
    }
}

/// Two inputs that were found, crossed: what neither random bytes nor the corpus itself reach.
#[test]
fn mixtures_of_the_corpora_hold() {
    use proptest::sample::{Index, select};
    let _alone = alone();
    for (target, harness) in HARNESSES {
        let corpus: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
        let any = proptest::arbitrary::any::<(Index, Index)>;
        let input = (select(corpus.clone()), select(corpus), any());
        let done = TestRunner::new(Config::default()).run(&input, |(one, other, (at, from))| {
            let at = at.index(one.len() + 1);
            let from = from.index(other.len() + 1);
            harness(&[&one[..at], &other[from..]].concat());
            Ok::<(), TestCaseError>(())
        });
        done.unwrap_or_else(|error| panic!("{target}: {error}"));
    }
}

#[test]
fn no_corpus_is_without_a_harness() {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for folder in fs::read_dir(folder).expect("the corpora") {
        let name = folder.expect("a corpus").file_name();
        let known = HARNESSES.iter().any(|(target, _)| name == *target);
        assert!(known, "{name:?}");
    }
}

//! Every harness with its corpus, and with random input.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipmb_fuzz::Harness;
use proptest::sample::{Index, select};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

/// Inputs are cheap.
const CASES: u32 = 1000;

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

/// All inputs that were found.
fn replay(target: &str, harness: Harness) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target} has no corpus");
    for (name, input) in corpus {
        // Shown if the test fails.
        println!("{target}/{name}");
        harness(&input);
    }
}

fn random(harness: Harness) {
    let input = proptest::collection::vec(proptest::num::u8::ANY, 0..400);
    drive(&input, |input| harness(&input));
}

/// Two inputs that were found, crossed, and a byte changed: what neither random bytes nor the corpus itself reach.
fn mixtures(target: &str, harness: Harness) {
    let corpus: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
    let any = proptest::arbitrary::any::<(Index, Index, Index, u8)>;
    let input = (select(corpus.clone()), select(corpus), any());
    drive(&input, |(one, other, (at, from, changed, mask))| {
        let at = at.index(one.len() + 1);
        let from = from.index(other.len() + 1);
        let mut input = [&one[..at], &other[from..]].concat();
        if !input.is_empty() {
            let changed = changed.index(input.len());
            input[changed] ^= mask;
        }
        harness(&input);
    });
}

fn drive<S: Strategy>(input: &S, check: impl Fn(S::Value)) {
    let done = TestRunner::new(Config::with_cases(CASES)).run(input, |input| {
        check(input);
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(mod $target {
            #[test]
            fn corpus() {
                let _alone = super::alone();
                super::replay(stringify!($target), ipmb_fuzz::$target);
            }

            #[test]
            fn random() {
                let _alone = super::alone();
                super::random(ipmb_fuzz::$target);
            }

            #[test]
            fn mixtures() {
                let _alone = super::alone();
                super::mixtures(stringify!($target), ipmb_fuzz::$target);
            }
        })*

        const TARGETS: &[&str] = &[$(stringify!($target)),*];
    };
}

targets!(control controller directory frame handshake lane selector shared source);

#[test]
fn every_corpus_and_every_program_has_its_tests() {
    let _alone = alone();
    for (folder, extension) in [("corpus", ""), ("fuzz_targets", ".rs")] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in fs::read_dir(folder).expect("the folder") {
            let name = file.expect("a file").file_name();
            let name = name.to_string_lossy();
            let target = name.strip_suffix(extension).expect("a target");
            assert!(TARGETS.contains(&target), "{name}");
        }
    }
}

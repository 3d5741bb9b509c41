//! There is one way to the kernel: `call/`. What went past it could not be made to fail.

use std::fs;
use std::path::Path;

/// What cannot fail, what is no system call at all, and what only asks what there is.
const HARMLESS: &[&str] = &[
    "cmsg_space",
    "clock_gettime",
    "getegid",
    "geteuid",
    "getrlimit",
    "membarrier_query",
    "page_size",
    "retry_on_intr",
    "sysinfo",
];

#[test]
fn system_calls_go_through_one_place() {
    let backend = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/linux");
    let mut looked_at = 0;
    for file in fs::read_dir(backend).expect("the sources").flatten() {
        let path = file.path();
        // What runs in a forked child before `fork` returns has to be by itself.
        if path.extension().is_none_or(|it| it != "rs") || path.ends_with("fork.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        looked_at += 1;
        for name in functions_of_rustix(&text) {
            assert!(HARMLESS.contains(&name), "{}: {name}", path.display());
        }
        for call in [
            ".try_clone()",
            "std::fs::",
            "libc::fcntl(",
            "libc::recv",
            "libc::getsockopt(",
        ] {
            assert!(!text.contains(call), "{}: {call}", path.display());
        }
    }
    assert!(looked_at > 10, "{looked_at} files");
}

/// Names in small letters that are imported from rustix (all up to the semicolon), or named with their
/// path (one word).
fn functions_of_rustix(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in text.match_indices("rustix::") {
        let (before, rest) = text.split_at(at);
        let end = match before.ends_with("use ") {
            true => rest.find(';'),
            false => rest.find(|c| !is_word(c) && c != ':'),
        };
        let names = rest[..end.unwrap_or(rest.len())].split(|c| !is_word(c));
        found.extend(names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())));
    }
    found.retain(|name| !MODULES.contains(name));
    found
}

const MODULES: &[&str] = &[
    "rustix", "event", "epoll", "fs", "io", "mm", "net", "param", "process", "rand", "system",
    "thread", "time",
];

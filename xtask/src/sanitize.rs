//! `cargo xtask sanitize`: the tests inside one process, under AddressSanitizer (which looks for leaks, too) and
//! ThreadSanitizer.
//!
//! The sanitizers need a compiler that lets one build the standard library with them: Debian's second toolchain does.
//! Left out is what races by intent: see [`ALL`].

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::steps::target;
use crate::tool::{Source, Tool};
use crate::{refuse, root};

pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The compiler, the source of the standard library, and the sanitizers' runtime where the compiler looks for it.
pub(crate) const SANITIZERS: Tool = Tool {
    name: "Debian's Rust with sanitizers",
    check: &[
        "sh",
        "-c",
        "/usr/bin/cargo --version && cd /usr/lib/rustlib/x86_64-unknown-linux-gnu/lib && \
         test -e librustc-stable_rt.asan.a && test -e librustc-stable_rt.tsan.a",
    ],
    source: Source::Debian(
        &["rustc-web", "cargo-web", "rust-web-src"],
        // Runtimes of the LLVM that the compiler is built with.
        Some(&[
            "sh",
            "-c",
            "llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \\([0-9]*\\).*/\\1/p') && \
             apt-get install -qq --no-install-recommends libclang-rt-$llvm-dev && \
             for it in asan tsan; do \
             ln -sf /usr/lib/llvm-$llvm/lib/clang/$llvm/lib/linux/libclang_rt.$it-x86_64.a \
             /usr/lib/rustlib/x86_64-unknown-linux-gnu/lib/librustc-stable_rt.$it.a; done",
        ]),
    ),
};

/// A sanitizer, and what runs under it.
struct Sanitizer {
    name: &'static str,
    flags: &'static str,
    options: (&'static str, &'static str),
    tests: &'static [&'static [&'static str]],
}

const ALL: [Sanitizer; 2] = [
    Sanitizer {
        name: "address",
        flags: "-Zsanitizer=address",
        options: (
            "ASAN_OPTIONS",
            "detect_leaks=1:detect_stack_use_after_return=1",
        ),
        tests: &[
            &["-p", "ipmb-lane", "--lib", "--tests"],
            &["-p", "ipmb-core", "--lib"],
            &["-p", "ipmb-sys", "--lib", "--tests"],
            &[
                "-p",
                "ipmb",
                "--lib",
                "--test",
                "compat_0_8",
                "--test",
                "derive",
            ],
        ],
    },
    Sanitizer {
        name: "thread",
        // ThreadSanitizer knows no fences: with this, they are operations that it knows.
        flags: "-Zsanitizer=thread --cfg tsan",
        options: ("TSAN_OPTIONS", "halt_on_error=1"),
        tests: &[
            // What a hostile side writes races by intent, and so does a lane that drops its oldest message: there
            // the producer may overwrite what is just being copied, and then the copy does not count.
            &[
                "-p",
                "ipmb-lane",
                "--lib",
                "--test",
                "stress",
                "--test",
                "room",
                "--",
                "--skip",
                "what_is_not_dropped_arrives_in_order",
            ],
            // One test at a time: what one has unmapped another may get, and the sanitizer sees no system calls.
            &[
                "-p",
                "ipmb-sys",
                "--lib",
                "--tests",
                "--",
                "--test-threads=1",
            ],
            &[
                "-p",
                "ipmb",
                "--lib",
                "--test",
                "compat_0_8",
                "--",
                "--test-threads=1",
            ],
        ],
    },
];

pub(crate) fn run(names: &[&str]) -> ExitCode {
    let unknown = |it: &&&str| ALL.iter().all(|known| known.name != **it);
    if let Some(unknown) = names.iter().find(unknown) {
        return refuse(&format!(
            "no sanitizer {unknown}; there are: address, thread"
        ));
    }
    if !SANITIZERS.is_there() {
        let name = SANITIZERS.name;
        return refuse(&format!(
            "there is no {name}: `cargo xtask test --all sanitize` installs it"
        ));
    }
    let chosen = |it: &&Sanitizer| names.is_empty() || names.contains(&it.name);
    let mut failed = false;
    for sanitizer in ALL.iter().filter(chosen) {
        for tests in sanitizer.tests {
            println!("\n{} sanitizer: {}", sanitizer.name, tests.join(" "));
            let status = sanitizer.command(tests).status();
            failed |= !status.is_ok_and(|it| it.success());
        }
    }
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

impl Sanitizer {
    fn command(&self, tests: &[&str]) -> Command {
        let mut command = command("test", self.flags, self.name);
        command
            .arg("--no-fail-fast")
            .args(tests)
            .env("CARGO_PROFILE_TEST_DEBUG", "line-tables-only")
            .env(self.options.0, self.options.1);
        command
    }
}

/// Debian's cargo, told to do something with a sanitizer and a target folder of its own.
pub(crate) fn command(what: &str, flags: &str, folder: &str) -> Command {
    let mut path = OsString::from("/usr/bin:");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("/usr/bin/cargo");
    command
        .args([what, "--locked", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_unwind")
        .current_dir(root())
        .env("PATH", path)
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTDOC", "/usr/bin/rustdoc")
        .env("RUSTC_BOOTSTRAP", "1")
        // Those of the toolchain that runs this are not for the other one.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTFLAGS", flags)
        .env("CARGO_TARGET_DIR", target(folder));
    command
}

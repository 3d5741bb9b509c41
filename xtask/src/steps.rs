//! The parts of the tests, in the order in which they run.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::run::Step;
use crate::sanitize::SANITIZERS;
use crate::tool::{Source, Tool};
use crate::{cargo, fuzz, root};

/// The oldest Rust that has to do.
const MSRV: &str = env!("CARGO_PKG_RUST_VERSION");

const MSRV_TOOLCHAIN: Tool = Tool {
    name: "Rust toolchain of the MSRV",
    check: &["rustup", "run", MSRV, "cargo", "--version"],
    source: Source::ByHand(concat!(
        "`rustup toolchain install ",
        env!("CARGO_PKG_RUST_VERSION"),
        "` gets it; until then clippy::incompatible_msrv stands in for it",
    )),
};

const SHELLCHECK: Tool = Tool {
    name: "shellcheck",
    check: &["shellcheck", "--version"],
    source: Source::Debian(&["shellcheck"], None),
};

/// For what is not Rust among the systems that the benchmark compares with.
pub(crate) const NATIVE_BUILD: Tool = Tool {
    name: "CMake and a C++ compiler",
    check: &["sh", "-c", "cmake --version && c++ --version"],
    source: Source::Debian(&["cmake", "g++"], None),
};

/// All steps. The quick ones that fail most often come first.
pub(crate) fn all() -> Vec<Step> {
    vec![
        Step {
            name: "workspace",
            about: "unit and integration tests of all crates; the examples build",
            needs: &[],
            // Every kind of target but benchmarks; what spawns processes runs below, in release.
            command: cargo(&[
                "test",
                "--locked",
                "--no-fail-fast",
                "--workspace",
                "--exclude",
                "ipmb-tests",
                "--lib",
                "--bins",
                "--tests",
                "--examples",
            ]),
        },
        Step {
            name: "doc",
            about: "the snippets in the documentation, README and guide included",
            needs: &[],
            command: cargo(&["test", "--locked", "--no-fail-fast", "--workspace", "--doc"]),
        },
        Step {
            name: "loom",
            about: "models of the lock-free code, under every schedule",
            needs: &[],
            command: loom(),
        },
        Step {
            name: "solar",
            about: "the main job: real processes, the controller killed on the way",
            needs: &[],
            command: cargo(&["run", "--locked", "--release", "--example", "solar"]),
        },
        Step {
            name: "processes",
            about: "the guarantees, across real processes",
            needs: &[],
            // One test at a time: some of them measure.
            command: cargo(&[
                "test",
                "--locked",
                "--no-fail-fast",
                "--release",
                "-p",
                "ipmb-tests",
                "--",
                "--test-threads=1",
            ]),
        },
        Step {
            name: "chaos",
            about: "processes killed, stopped and started at random, and a ledger of every message",
            needs: &[],
            command: xtask(&[
                "chaos",
                "--seconds",
                "60",
                "--seed",
                "1",
                "--endpoints",
                "8",
            ]),
        },
        Step {
            name: "faults",
            about: "every system call fails with every error that it can have",
            needs: &[],
            command: xtask(&["faults"]),
        },
        Step {
            name: "fuzz",
            about: "what a peer can send, from libFuzzer, under AddressSanitizer",
            needs: fuzz::NEEDS,
            // The same choices each time: what is new is for those who look for it.
            command: cargo(&["xtask", "fuzz", "--seconds", "20", "--seed", "1"]),
        },
        Step {
            name: "hostile",
            about: "honest members, and what attackers can do to them",
            needs: &[],
            command: xtask(&["hostile"]),
        },
        Step {
            name: "soak",
            about: "mixed load for a short time: memory, descriptors and latency stay as they are",
            needs: &[],
            command: xtask(&["soak", "--seconds", "40"]),
        },
        Step {
            name: "sanitize",
            about: "the tests inside one process, under AddressSanitizer and ThreadSanitizer",
            needs: &[SANITIZERS],
            command: xtask(&["sanitize"]),
        },
        Step {
            name: "peers",
            about: "the benchmark with all systems that it compares with",
            needs: &[NATIVE_BUILD],
            command: cargo(&[
                "clippy",
                "--locked",
                "-p",
                "ipmb-bench",
                "--features",
                "peers",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
        },
        Step {
            name: "scripts",
            about: "the shell scripts",
            needs: &[SHELLCHECK],
            command: shellcheck(),
        },
        Step {
            name: "msrv",
            about: "the oldest Rust that has to do",
            needs: &[MSRV_TOOLCHAIN],
            command: msrv(),
        },
    ]
}

/// The models run in release (they are many thousand executions) and in a target folder of their
/// own, because the flag would rebuild everything in the common one.
fn loom() -> Command {
    let mut flags = env::var_os("RUSTFLAGS").unwrap_or_default();
    flags.push(" --cfg loom");
    let mut command = cargo(&[
        "test",
        "--locked",
        "--no-fail-fast",
        "--release",
        "-p",
        "ipmb-lane",
        "--test",
        "loom",
    ]);
    command.env("RUSTFLAGS", flags);
    command.env("CARGO_TARGET_DIR", target("loom"));
    command
}

/// Another task.
fn xtask(arguments: &[&str]) -> Command {
    let mut command = cargo(&["run", "--quiet", "--locked", "--package", "xtask", "--"]);
    command.args(arguments);
    command
}

fn shellcheck() -> Command {
    let mut command = Command::new("shellcheck");
    command.arg(".ci/run").current_dir(root());
    command
}

fn msrv() -> Command {
    let mut command = Command::new("rustup");
    command.args([
        "run",
        MSRV,
        "cargo",
        "check",
        "--locked",
        "--workspace",
        "--all-targets",
    ]);
    command.env("CARGO_TARGET_DIR", target("msrv"));
    command.current_dir(root());
    command
}

/// A folder for build results beside the ordinary ones.
pub(crate) fn target(name: &str) -> PathBuf {
    let common = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target"));
    root().join(common).join(name)
}

//! `cargo xtask hostile`: honest members, and what attackers can do to them.

use std::path::PathBuf;
use std::process::Command;

use crate::tool::{Source, Tool};
use crate::{cargo, root};

/// A toolchain of Debian's that brings the sources of the standard library.
const RUSTC: &str = "/usr/bin/rustc";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What members built with AddressSanitizer take.
pub(crate) const SANITIZER: Tool = Tool {
    name: "AddressSanitizer for Debian's Rust",
    check: &[
        "sh",
        "-c",
        "test -e /usr/lib/rustlib/x86_64-unknown-linux-gnu/lib/librustc-stable_rt.asan.a \
         && test -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml",
    ],
    source: Source::Install(&[
        &["apt-get", "update", "-qq"],
        &[
            "apt-get",
            "install",
            "-qq",
            "--no-install-recommends",
            "rustc-web",
            "cargo-web",
            "rust-web-src",
        ],
        // The runtime has to be that of the compiler's own LLVM.
        &[
            "sh",
            "-c",
            "llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \\([0-9]*\\).*/\\1/p') \
             && apt-get install -qq --no-install-recommends libclang-rt-$llvm-dev \
             && ln -sf /usr/lib/llvm-$llvm/lib/clang/$llvm/lib/linux/libclang_rt.asan-x86_64.a \
                /usr/lib/rustlib/x86_64-unknown-linux-gnu/lib/librustc-stable_rt.asan.a",
        ],
    ]),
};

/// The program, with arguments of its own.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = cargo(&[
        "run",
        "--locked",
        "--release",
        "-p",
        "ipmb-tests",
        "--bin",
        "hostile",
        "--",
    ]);
    command.args(arguments);
    command
}

/// Builds the program with AddressSanitizer, to play the honest members. Returns where it is.
pub(crate) fn sanitized() -> Result<PathBuf, String> {
    if !SANITIZER.is_there() {
        SANITIZER.install();
    }
    if !SANITIZER.is_there() {
        return Err(format!("there is no {}", SANITIZER.name));
    }
    let folder = crate::steps::target("asan");
    let mut command = Command::new("/usr/bin/cargo");
    command
        .args(["build", "--locked", "--release", "-p", "ipmb-tests"])
        .args(["--bin", "hostile", "-Zbuild-std=std,panic_unwind"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&folder)
        .env("RUSTC", RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .current_dir(root());
    match command.status() {
        Ok(status) if status.success() => Ok(folder.join(TARGET).join("release/hostile")),
        Ok(status) => Err(format!("it cannot be built: {status}")),
        Err(error) => Err(format!("cargo does not start: {error}")),
    }
}

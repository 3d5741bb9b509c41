//! `cargo xtask hostile`: honest members, and what attackers can do to them.

use std::path::PathBuf;
use std::process::Command;

use crate::sanitize::SANITIZERS;
use crate::{cargo, root};

/// A toolchain of Debian's that brings the sources of the standard library.
const RUSTC: &str = "/usr/bin/rustc";
const TARGET: &str = "x86_64-unknown-linux-gnu";

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
    if !SANITIZERS.is_there() {
        SANITIZERS.install();
    }
    if !SANITIZERS.is_there() {
        return Err(format!("there is no {}", SANITIZERS.name));
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

//! `cargo xtask hostile`: honest members, and what attackers can do to them.

use std::path::PathBuf;
use std::process::Command;

use crate::cargo;
use crate::sanitize::{self, SANITIZERS, TARGET};
use crate::steps::target;

/// What was freed is not kept for long, as the memory of members is watched.
pub(crate) const ASAN_OPTIONS: &str = "detect_stack_use_after_return=1:quarantine_size_mb=4";

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
    let folder = "asan";
    let mut command = sanitize::command("build", "-Zsanitizer=address", folder);
    command.args(["--release", "-p", "ipmb-tests", "--bin", "hostile"]);
    match command.status() {
        Ok(status) if status.success() => Ok(target(folder).join(TARGET).join("release/hostile")),
        Ok(status) => Err(format!("it cannot be built: {status}")),
        Err(error) => Err(format!("cargo does not start: {error}")),
    }
}

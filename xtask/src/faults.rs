//! `cargo xtask faults`: every system call fails, in turn, with every error that it can have.

use std::process::{Command, ExitCode};

use crate::{cargo, refuse};

/// With the arguments of the program `tests/src/bin/faults`.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    match command(arguments).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => refuse(&format!("cannot start cargo: {error}")),
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = cargo(&[
        "run",
        "--release",
        "--locked",
        "-p",
        "ipmb-tests",
        "--features",
        "faults",
        "--bin",
        "faults",
        "--",
    ]);
    command.args(arguments);
    command
}

//! `cargo xtask chaos`: processes that are killed, stopped and started at random, and a ledger that
//! says what came of each message.

use std::process::{Command, ExitCode};

use crate::{cargo, refuse};

/// Runs the harness; the arguments are its own.
pub(crate) fn main(arguments: &[&str]) -> ExitCode {
    match command().args(arguments).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => refuse(&format!("cannot start cargo: {error}")),
    }
}

fn command() -> Command {
    let program = [
        "--locked",
        "--release",
        "-p",
        "ipmb-tests",
        "--bin",
        "chaos",
    ];
    let mut command = cargo(&["run", "--quiet"]);
    command.args(program).arg("--");
    command
}

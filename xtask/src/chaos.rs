//! `cargo xtask chaos`: processes that are killed, stopped and started at random, and a ledger that
//! says what came of each message.

use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{cargo, refuse};

/// Runs the harness; the arguments are its own.
pub(crate) fn main(arguments: &[&str]) -> ExitCode {
    match command().args(arguments).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => refuse(&format!("cannot start cargo: {error}")),
    }
}

/// The step of the tests: a minute in all, half of it from a seed that is always the same, and half
/// from another one each time, which is printed.
pub(crate) fn step() -> Command {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = now.map_or(2, |now| now.as_nanos() % 1_000_000);
    let mut command = command();
    command.args(["--seconds", "30", "--seed", "1", "--seed"]);
    command.arg(seed.to_string());
    command
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

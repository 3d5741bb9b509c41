//! `cargo xtask faults`: every system call fails, in turn, with every error that it can have.

use std::process::{Command, ExitCode};

use crate::{cargo, refuse};

/// With the arguments of the program `tests/src/bin/faults`. Without any, what it has found before is tried first.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let commands = match arguments {
        [] => vec![tests(), program(arguments)],
        _ => vec![program(arguments)],
    };
    for mut command in commands {
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(_) => return ExitCode::FAILURE,
            Err(error) => return refuse(&format!("cannot start cargo: {error}")),
        }
    }
    ExitCode::SUCCESS
}

fn tests() -> Command {
    let mut command = with_faults("test");
    command.args(["--test", "faults", "--", "--test-threads=1"]);
    command
}

fn program(arguments: &[&str]) -> Command {
    let mut command = with_faults("run");
    command.args(["--bin", "faults", "--"]).args(arguments);
    command
}

fn with_faults(what: &str) -> Command {
    cargo(&[
        what,
        "--release",
        "--locked",
        "-p",
        "ipmb-tests",
        "--features",
        "faults",
    ])
}

//! Tasks that are a program of the tests: `scale` and `soak`.

use std::process::{Command, ExitCode};

use crate::{cargo, refuse};

/// Builds the programs of the tests, and runs one of them in release.
pub(crate) fn run(name: &str, arguments: &[&str]) -> ExitCode {
    for mut command in [build(), program(name, arguments)] {
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(_) => return ExitCode::FAILURE,
            Err(error) => return refuse(&format!("cannot start cargo: {error}")),
        }
    }
    ExitCode::SUCCESS
}

/// The programs that they start have to be there, too.
fn build() -> Command {
    cargo(&[
        "build",
        "--release",
        "--locked",
        "-p",
        "ipmb-tests",
        "--bins",
    ])
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--release",
        "--locked",
        "-p",
        "ipmb-tests",
    ]);
    command.args(["--bin", name, "--"]).args(arguments);
    command
}

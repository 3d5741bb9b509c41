//! The table of attacks: ipmb 0.8.5 beside ours.

use std::process::ExitCode;

use crate::{cargo, refuse};

pub(crate) fn run() -> ExitCode {
    let mut command = cargo(&["run", "--release", "--locked", "-p", "ipmb-bench"]);
    match command.args(["--", "--attacks"]).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => refuse(&format!("cannot start cargo: {error}")),
    }
}

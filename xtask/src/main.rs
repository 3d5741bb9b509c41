//! Tasks of the repository: `cargo xtask <task>`.

mod chaos;
#[cfg(test)]
mod claims;
mod compare;
mod faults;
mod fuzz;
mod hostile;
mod program;
mod run;
mod sanitize;
mod steps;
mod tool;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

const USAGE: &str = "\
Tasks of the repository:

  cargo xtask test [--all] [STEP…]   run the tests: all of them, or the steps named
                                     --all: install the tools that are missing, and fail
                                     where a step would be skipped for want of one
  cargo xtask bench [--light] [ARGUMENT…]
                                     run the benchmarks; the arguments are theirs
                                     --light: without the systems that take long to build
  cargo xtask fuzz [--seconds N] [--seed N] [--all] [--merge] [TARGET…]
                                     fuzz the targets, all of them or those named, N seconds each (30)
                                     --all: install the tools that are missing
                                     --merge: take what was found into the repository
  cargo xtask compare                what becomes of ipmb 0.8.5, and of ours, when they are
                                     attacked: a table
  cargo xtask faults [--full] [--case SCENARIO:CALL:ERROR:N[+]] [SCENARIO…]
                                     make every system call fail with every error, in turn
                                     --full: every occurrence, not a sample of them
  cargo xtask sanitize [address] [thread]
                                     the tests inside one process, under sanitizers
  cargo xtask soak --seconds N [--plot FILE]
                                     mixed load: do memory, descriptors and latency stay as they are?
  cargo xtask scale [--endpoints N]  many endpoints on one bus (1,000), in a table with goals
  cargo xtask hostile [--asan] [ARGUMENT…]
                                     attack a bus of honest members; the arguments are the program's
                                     --asan: members built with AddressSanitizer
  cargo xtask chaos [--seconds N] [--seed S]… [--endpoints K]
                                     kill, stop and start processes of a bus at random, and
                                     look whether every message arrives as it has to
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["bench", rest @ ..] => bench(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["compare"] => compare::run(),
        ["faults", rest @ ..] => faults::run(rest),
        ["sanitize", rest @ ..] => sanitize::run(rest),
        ["soak", rest @ ..] => program::run("soak", rest),
        ["scale", rest @ ..] => program::run("scale", rest),
        ["hostile", rest @ ..] => attack(rest),
        ["chaos", rest @ ..] => chaos::main(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => refuse("which task?"),
    }
}

fn test(arguments: &[&str]) -> ExitCode {
    let (options, names): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|it| it.starts_with('-'));
    if let Some(unknown) = options.iter().find(|it| **it != "--all") {
        return refuse(&format!("unknown option {unknown}"));
    }
    let mut steps = steps::all();
    if let Some(unknown) = names.iter().find(|it| steps.iter().all(|s| s.name != **it)) {
        let known: Vec<_> = steps.iter().map(|it| it.name).collect();
        return refuse(&format!(
            "no step {unknown}; there are: {}",
            known.join(", ")
        ));
    }
    steps.retain(|it| names.is_empty() || names.contains(&it.name));

    let reports = run::all(steps, !options.is_empty());
    print!("{}", run::table(&reports));
    if reports.iter().any(run::Report::failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn bench(arguments: &[&str]) -> ExitCode {
    let (light, arguments): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|it| **it == "--light");
    let mut command = cargo(&["run", "--release", "--locked", "-p", "ipmb-bench"]);
    if light.is_empty() {
        if !steps::NATIVE_BUILD.is_there() {
            let name = steps::NATIVE_BUILD.name;
            return refuse(&format!(
                "the benchmark needs {name}: apt-get install cmake g++; --light does without"
            ));
        }
        command.args(["--features", "peers"]);
    }
    match command.arg("--").args(arguments).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => refuse(&format!("cannot start cargo: {error}")),
    }
}

fn attack(arguments: &[&str]) -> ExitCode {
    let (asan, arguments): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|it| **it == "--asan");
    let mut command = hostile::command(&arguments);
    if !asan.is_empty() {
        match hostile::sanitized() {
            Ok(program) => command
                .args(["--member".as_ref(), program.as_os_str()])
                .env("ASAN_OPTIONS", hostile::ASAN_OPTIONS),
            Err(why) => return refuse(&why),
        };
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => refuse(&format!("cannot start cargo: {error}")),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("xtask: {why}\n\n{USAGE}");
    ExitCode::from(2)
}

/// `cargo` with `arguments`, at the root of the repository.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(root());
    command
}

/// The root of the repository from which we were started: two of them may have built the same program.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let started = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let own = started.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
    })
}

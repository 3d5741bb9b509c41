//! Every system call fails, in turn, with every error that it can have: `cargo xtask faults`.
//!
//! The manner is that of SQLite's tests. A scenario runs without faults, and the calls of each kind are
//! counted; then it runs again for each of them, and each of their errors, with that fault. Whatever the
//! call and the error: the operation succeeds or a typed error comes, in time; nothing panics; messages
//! that were sent arrive, and those that were given back do not; no descriptor or mapping is left; and
//! afterwards everything works.
//!
//! * `faults [--full] [--seconds N] [--workers N] [SCENARIO…]`: runs and prints the table.
//! * `faults --case SCENARIO:CALL:ERROR:N[+]`: one of them. `+`: this call and all that follow.

mod case;
mod keeper;
mod ledger;
mod plan;
mod scenarios;
mod stage;
mod table;
mod worker;
mod workers;

use std::process::ExitCode;
use std::time::Duration;

use case::Case;

const USAGE: &str = "\
faults [--full] [--seconds N] [--workers N] [SCENARIO…]
faults --case SCENARIO:CALL:ERROR:N[+]
";

/// What is to be run.
struct Wishes {
    /// All occurrences of a call, not a sample of them.
    full: bool,
    /// No new case is begun after this time.
    limit: Option<Duration>,
    workers: usize,
    scenarios: Vec<String>,
    cases: Vec<Case>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["worker"] => worker::run(),
        ["keeper", directory] => keeper::run(directory),
        words => match wishes(words) {
            Some(wishes) => return workers::run(&wishes),
            None => {
                let known = scenarios::ALL.iter().map(|it| it.name);
                let known: Vec<_> = known.collect();
                eprintln!("{USAGE}scenarios: {}", known.join(", "));
                return ExitCode::from(2);
            }
        },
    }
    ExitCode::SUCCESS
}

fn wishes(mut words: &[&str]) -> Option<Wishes> {
    let mut wishes = Wishes {
        full: false,
        limit: None,
        // Most of them sleep most of the time.
        workers: 4,
        scenarios: Vec::new(),
        cases: Vec::new(),
    };
    loop {
        words = match words {
            [] => return Some(wishes),
            ["--full", rest @ ..] => {
                wishes.full = true;
                rest
            }
            ["--seconds", number, rest @ ..] => {
                wishes.limit = Some(Duration::from_secs(number.parse().ok()?));
                rest
            }
            ["--workers", number, rest @ ..] => {
                wishes.workers = number.parse().ok().filter(|it| *it > 0)?;
                rest
            }
            ["--case", case, rest @ ..] => {
                wishes.cases.push(case.parse().ok()?);
                rest
            }
            [name, rest @ ..] => {
                scenarios::find(name)?;
                wishes.scenarios.push((*name).to_owned());
                rest
            }
        };
    }
}

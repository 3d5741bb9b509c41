//! Benchmarks of ipmb beside what one would use instead, in one run, between real processes.
//!
//! | module | what |
//! |---|---|
//! | `peers` | the systems, a file each, behind one small trait |
//! | `work` | what they are made to do, a file per kind |
//! | `child` | one of the processes of a measurement: it connects, works, prints figures |
//! | `processes` | starts them, waits for their figures with a deadline, kills them |
//! | `compare` | which measurements there are, and in which order |
//! | `attacks` | what becomes of ipmb 0.8.5, and of ours, when they are attacked |
//! | `report` | tables, TSV, JSON |
//! | `plot` | plots |

mod attacks;
mod child;
mod compare;
mod machine;
mod message;
mod options;
mod peers;
mod plot;
mod processes;
mod progress;
mod report;
mod statistics;
mod work;

use std::process::ExitCode;

/// What can go wrong in a measurement: it ends there, with this text.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

/// The program: the comparison, or, if it was started by one, a process of it.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((child::OPTION, rest)) = arguments.split_first().map(|(a, b)| (a.as_str(), b)) {
        return child::main(rest);
    }
    match arguments.split_first().map(|(a, b)| (a.as_str(), b)) {
        Some((attacks::OPTION, [])) => return attacks::main(),
        Some((attacks::PART, rest)) => return attacks::part(rest),
        _ => {}
    }
    let options = match options::Options::parse(&arguments) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    if options.list {
        print!("{}", peers::list());
        return ExitCode::SUCCESS;
    }
    match compare::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ipmb-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

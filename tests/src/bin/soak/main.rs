//! `soak --seconds N [--plot FILE]`: mixed load for a long time, and whether memory, descriptors and latency stay as
//! they are. The same program is its own members: `soak member …`, `soak victim …`.

mod bare;
mod clock;
mod latency;
mod load;
mod member;
mod options;
mod parcel;
mod plot;
mod supervisor;
mod trend;
mod verdict;
mod victim;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["member", directory, index] => member::run(directory.as_ref(), index),
        ["echo"] => bare::echo(),
        ["victim", directory] => victim::run(directory.as_ref()),
        arguments => match options::Options::parse(arguments) {
            Ok(options) => return supervisor::run(&options),
            Err(why) => {
                eprintln!("soak: {why}\n\nsoak --seconds N [--plot FILE]");
                return ExitCode::from(2);
            }
        },
    }
    ExitCode::SUCCESS
}

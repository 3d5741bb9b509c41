//! `scale [--endpoints N]`: many endpoints on one bus, in a table with the goals. Fails if one is missed.

use ipmb_tests::{Bus, scale::Scale};
use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let endpoints = match arguments.as_slice() {
        [] => Ok(1000),
        [option, number] if option == "--endpoints" => number.parse().map_err(|_| ()),
        _ => Err(()),
    };
    let Ok(endpoints) = endpoints else {
        eprintln!("scale [--endpoints N]");
        return ExitCode::from(2);
    };
    let figures = Scale::measure(&Bus::new(), endpoints, Duration::from_secs(5));
    println!("{endpoints} endpoints\n{figures}");
    match figures.missed().count() {
        0 => ExitCode::SUCCESS,
        missed => {
            println!("{missed} goals missed");
            ExitCode::FAILURE
        }
    }
}

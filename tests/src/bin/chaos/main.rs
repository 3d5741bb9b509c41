//! Chaos: endpoint processes that do all sorts of things at random, and a supervisor that kills,
//! stops and starts them, the controller by preference, and judges from their ledger whether all is
//! as guaranteed: `chaos --seconds N --seed S --endpoints K`. With several seeds, one after the other.

mod leaks;
mod log;
mod player;
mod supervisor;

use std::{process::ExitCode, time::Duration};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Request {
    seconds: u64,
    seed: u64,
    endpoints: u64,
}

const USAGE: &str = "usage: chaos [--seconds N] [--seed S]… [--endpoints K]   (K: 2 to 50)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("player", rest)) = arguments.split_first().map(|(a, b)| (a.as_str(), b)) {
        return player::main(rest);
    }
    let Some(requests) = Request::parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // All of them, whatever came of the first.
    let clean: Vec<bool> = requests.iter().map(supervisor::run).collect();
    match clean.iter().all(|clean| *clean) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

impl Request {
    fn parse(arguments: &[String]) -> Option<Vec<Self>> {
        let (mut seconds, mut endpoints, mut seeds) = (60, 8, Vec::new());
        let (pairs, rest) = arguments.as_chunks::<2>();
        for [name, value] in pairs {
            let value = value.parse().ok()?;
            match name.as_str() {
                "--seconds" => seconds = value,
                "--seed" => seeds.push(value),
                "--endpoints" => endpoints = value,
                _ => return None,
            }
        }
        if seeds.is_empty() {
            seeds.push(1);
        }
        let requests = seeds.into_iter().map(|seed| Self {
            seconds,
            seed,
            endpoints,
        });
        (rest.is_empty() && (2..=50).contains(&endpoints)).then(|| requests.collect())
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

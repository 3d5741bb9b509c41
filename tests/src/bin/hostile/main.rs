//! Attacks on a bus, and what its honest members notice of them: `cargo xtask hostile`.
//!
//! Three kinds of processes: the supervisor starts honest members, has one attacker after the other
//! loose on them, and prints a table. See `supervise.rs`, `member.rs` and `attack/mod.rs`.

mod attack;
mod member;
mod meter;
mod supervise;
mod table;
mod victims;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

const USAGE: &str = "\
hostile [--long] [--seconds N] [--seed S] [--only WORD] [--member PROGRAM] [--list]

  --long      ten times as long for each attack
  --seconds   so long for each attack
  --seed      what decides the random part
  --only      attacks whose name has the word
  --member    the program that plays the honest members, if it is not this one
  --list      only list the attacks
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["member", directory, name, rest @ ..] => {
            member::run(Path::new(directory), name, rest);
            ExitCode::SUCCESS
        }
        ["attack", directory, name, seed, milliseconds] => {
            let (seed, milliseconds) = (number(seed), number(milliseconds));
            attack::run(Path::new(directory), name, seed, milliseconds);
            ExitCode::SUCCESS
        }
        _ => match supervise::Orders::parse(&words) {
            Some(orders) => supervise::run(&orders),
            None => {
                eprint!("{USAGE}");
                ExitCode::from(2)
            }
        },
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

/// Tells the supervisor something.
fn say(line: impl std::fmt::Display) {
    // A supervisor that is gone is told nothing.
    let _ = writeln!(io::stdout().lock(), "{line}");
    let _ = io::stdout().flush();
}

//! The command line.

use crate::{peers, work::Work};
use std::{path::PathBuf, str::FromStr, time::Duration};

const USAGE: &str = "\
Compares ipmb with what one would use instead, between two processes.

  cargo xtask bench [OPTION…]

  --quick            short measurements: about a minute in all
  --peer NAME        only this system, and ours; may be repeated (--list shows them)
  --work NAME        only this: --work help lists them; may be repeated
  --size BYTES       only this size of messages, e.g. 64, 4K, 1M; may be repeated
  --repetitions N    of each measurement, the systems taking turns
  --time MS          of each measurement, in milliseconds
  --no-pin           do not keep the two processes on two cores
  --tsv FILE         write every single figure to a file
  --list             list the systems
";

pub(crate) struct Options {
    /// None: all.
    pub peers: Vec<String>,
    /// None: all.
    pub works: Vec<Work>,
    /// None: those of the work.
    pub sizes: Vec<usize>,
    pub repetitions: usize,
    pub warm_up: Duration,
    pub time: Duration,
    pub pin: bool,
    pub tsv: Option<PathBuf>,
    pub list: bool,
}

impl Options {
    /// What the arguments say, or what to print instead.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            peers: Vec::new(),
            works: Vec::new(),
            sizes: Vec::new(),
            repetitions: 5,
            warm_up: Duration::from_millis(200),
            time: Duration::from_millis(500),
            pin: true,
            tsv: None,
            list: false,
        };
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} what?\n\n{USAGE}"));
            match argument {
                "--quick" => {
                    options.repetitions = 3;
                    options.warm_up = Duration::from_millis(50);
                    options.time = Duration::from_millis(150);
                }
                "--peer" => options.peers.push(peer(value()?)?),
                "--work" => options.works.push(work(value()?)?),
                "--size" => options.sizes.push(size(value()?)?),
                "--repetitions" => options.repetitions = number::<usize>(value()?)?.max(1),
                "--time" => options.time = Duration::from_millis(number(value()?)?),
                "--no-pin" => options.pin = false,
                "--tsv" => options.tsv = Some(value()?.into()),
                "--list" => options.list = true,
                // `cargo bench` says so.
                "--bench" => {}
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }
}

fn peer(name: &str) -> Result<String, String> {
    match peers::find(name) {
        Some(peer) => Ok(peer.name.to_owned()),
        None => Err(format!(
            "there is no {name}; there are:\n\n{}",
            peers::list()
        )),
    }
}

fn work(name: &str) -> Result<Work, String> {
    let work = Work::ALL.into_iter().find(|it| it.name() == name);
    work.ok_or_else(|| format!("there is no work {name}\n\n{USAGE}"))
}

fn size(text: &str) -> Result<usize, String> {
    let unit = text.trim_start_matches(|it: char| it.is_ascii_digit());
    let shift = match unit {
        "" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        _ => return Err(format!("{text} is not a size such as 64, 4K, 1M")),
    };
    let size: usize = number(text.trim_end_matches(unit))?;
    let smallest = crate::message::SMALLEST;
    if size << shift < smallest {
        return Err(format!(
            "a message has {smallest} bytes at least: its number and a check"
        ));
    }
    Ok(size << shift)
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text} is not a number\n\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::{Options, size};

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64"), Ok(64));
        assert_eq!(size("4K"), Ok(4096));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert!(size("8").is_err() && size("K").is_err() && size("1T").is_err());
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let parse = |it: &str| Options::parse(&[it.to_owned()]);
        assert!(parse("--quick").is_ok() && parse("--bench").is_ok());
        assert!(parse("--fast").is_err() && parse("--peer").is_err());
    }
}

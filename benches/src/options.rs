//! The command line.

use crate::{peers, work::Work};
use std::{path::PathBuf, str::FromStr, time::Duration};

const USAGE: &str = "\
Compares ipmb with what one would use instead, between real processes.

  cargo xtask bench [OPTION…]

  --light            without the systems that take long to build
  --quick            fewer and shorter measurements: about a minute with the light systems
  --peer NAME        only this system, and ours; may be repeated (--list shows them)
  --work NAME        only this: one-way, round-trip, round-trip-asleep, request, fan-out,
                     fan-in, many-to-many, loans, regions-fresh, regions-recycled, objects,
                     join, first-contact, failover, stalled, footprint; may be repeated
  --size BYTES       only this size of messages, e.g. 64, 4K, 1M; may be repeated
  --repetitions N    of each measurement, the systems taking turns
  --time MS          of each measurement, in milliseconds
  --no-pin           do not keep processes on cores
  --tsv FILE         write every single figure to a file
  --json FILE        write the figures, their medians and the machine to a file
  --plots DIRECTORY  write plots (SVG): throughput by size, latencies, fan-out
  --list             list the systems

  --attacks          instead: what becomes of ipmb 0.8.5, and of ours, when they are attacked
";

pub(crate) struct Options {
    /// None: all.
    pub peers: Vec<String>,
    /// None: all.
    pub works: Vec<Work>,
    /// None: those of the work.
    pub sizes: Vec<usize>,
    pub quick: bool,
    pub repetitions: usize,
    pub warm_up: Duration,
    pub time: Duration,
    pub pin: bool,
    pub tsv: Option<PathBuf>,
    pub json: Option<PathBuf>,
    pub plots: Option<PathBuf>,
    pub list: bool,
}

impl Options {
    /// What the arguments say, or what to print instead.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            peers: Vec::new(),
            works: Vec::new(),
            sizes: Vec::new(),
            quick: false,
            repetitions: 5,
            warm_up: Duration::from_millis(200),
            time: Duration::from_millis(500),
            pin: true,
            tsv: None,
            json: None,
            plots: None,
            list: false,
        };
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} what?\n\n{USAGE}"));
            match argument {
                "--quick" => {
                    options.quick = true;
                    options.repetitions = 3;
                    options.warm_up = Duration::from_millis(20);
                    options.time = Duration::from_millis(60);
                }
                "--peer" => options.peers.push(peer(value()?)?),
                "--work" => options.works.push(work(value()?)?),
                "--size" => options.sizes.push(size(value()?)?),
                "--repetitions" => options.repetitions = number::<usize>(value()?)?.max(1),
                "--time" => options.time = Duration::from_millis(number(value()?)?),
                "--no-pin" => options.pin = false,
                "--tsv" => options.tsv = Some(value()?.into()),
                "--json" => options.json = Some(value()?.into()),
                "--plots" => options.plots = Some(value()?.into()),
                "--list" => options.list = true,
                // `cargo bench` says so.
                "--bench" => {}
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }

    /// How often a work is measured: once if it has to be quick and is not.
    pub(crate) fn repetitions_of(&self, work: Work) -> usize {
        if self.quick && !work.about().least_time.is_zero() {
            1
        } else {
            self.repetitions
        }
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
    let work = Work::find(name);
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
    use super::{Options, USAGE, size};
    use crate::work::Work;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64"), Ok(64));
        assert_eq!(size("4K"), Ok(4096));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert!(size("8").is_err() && size("K").is_err() && size("1T").is_err());
    }

    #[test]
    fn the_usage_names_all_works() {
        let words: Vec<_> = USAGE.split([' ', ',', ';', '\n']).collect();
        for work in Work::ALL {
            assert!(words.contains(&work.name()), "{}", work.name());
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let parse = |it: &str| Options::parse(&[it.to_owned()]);
        assert!(parse("--quick").is_ok() && parse("--bench").is_ok());
        assert!(parse("--fast").is_err() && parse("--peer").is_err());
    }
}

//! What it is called with.

use std::{path::PathBuf, time::Duration};

/// Less is nothing but warm-up.
const LEAST: Duration = Duration::from_secs(30);

/// How long, and where the plot goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) time: Duration,
    pub(super) plot: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let (mut time, mut plot) = (None, None);
        for pair in arguments.chunks(2) {
            match pair {
                ["--seconds", number] => {
                    let seconds = number
                        .parse()
                        .map_err(|_| format!("{number} is no number"))?;
                    time = Some(Duration::from_secs(seconds));
                }
                ["--plot", file] => plot = Some(file.into()),
                other => return Err(format!("what is {other:?}?")),
            }
        }
        let time = time.ok_or("for how long?")?;
        if time < LEAST {
            return Err(format!(
                "at least {} s: it has to warm up first",
                LEAST.as_secs()
            ));
        }
        Ok(Self { time, plot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_needed_and_a_plot_is_not() {
        let options = Options::parse(&["--plot", "file", "--seconds", "90"]).unwrap();
        assert_eq!(
            (options.time.as_secs(), options.plot),
            (90, Some("file".into()))
        );
        assert!(Options::parse(&[]).is_err());
        assert!(Options::parse(&["--seconds"]).is_err());
        assert!(Options::parse(&["--seconds", "29"]).is_err());
        assert!(Options::parse(&["--seconds", "90", "more"]).is_err());
    }
}

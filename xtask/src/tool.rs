//! What a step needs beyond Rust itself.

use std::process::{Command, Stdio};

/// A program that a step needs, or anything else whose presence a command can tell.
pub(crate) struct Tool {
    pub name: &'static str,
    /// Exits with 0 if the tool is there.
    pub check: &'static [&'static str],
    pub source: Source,
}

/// How a tool is had.
pub(crate) enum Source {
    /// Debian's packages, and a command that makes something of them, if they are not all.
    Debian(&'static [&'static str], Option<&'static [&'static str]>),
    /// This command installs it.
    Command(&'static [&'static str]),
    /// Not from here; the text tells a person how. A step that lacks it is skipped, also with `--all`.
    ByHand(&'static str),
}

impl Tool {
    pub(crate) fn is_there(&self) -> bool {
        // rustup must not take the check for an order to fetch a toolchain.
        let mut check = command(self.check);
        check.env("RUSTUP_AUTO_INSTALL", "0");
        check.stdout(Stdio::null()).stderr(Stdio::null());
        check.status().is_ok_and(|status| status.success())
    }

    /// Runs the commands that install it, up to the first that fails. Whether it worked, the check tells.
    pub(crate) fn install(&self) {
        const UPDATE: &[&str] = &["apt-get", "update", "-qq"];
        const GET: &[&str] = &["apt-get", "install", "-qq", "--no-install-recommends"];
        let commands = match self.source {
            Source::Debian(packages, then) => {
                let all = [UPDATE.to_vec(), [GET, packages].concat()];
                all.into_iter().chain(then.map(<[_]>::to_vec)).collect()
            }
            Source::Command(line) => vec![line.to_vec()],
            Source::ByHand(_) => return,
        };
        for line in commands {
            println!("$ {}", line.join(" "));
            match command(&line).status() {
                Ok(status) if status.success() => {}
                Ok(status) => return println!("{status}"),
                Err(error) => return println!("{error}"),
            }
        }
    }
}

fn command(line: &[&str]) -> Command {
    let mut words = line.iter();
    let mut command = Command::new(words.next().unwrap_or(&""));
    command.args(words).stdin(Stdio::null());
    command
}

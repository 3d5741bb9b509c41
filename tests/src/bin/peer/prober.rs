//! `prober`: tries to get at a bus that is none of its business. Says what comes of each try, then `done`.

use super::{Job, say};
use ipmb_tests::bad;
use std::fs;

pub(super) fn run(job: &Job) {
    let socket = bad::socket(&job.directory, bad::IDENTIFIER);
    let lock = socket.with_extension("lock");
    let outcome = |what: &str, error: Option<std::io::Error>| match error {
        Some(error) => say(format_args!("{what}: {error}")),
        None => say(format_args!("{what}: it worked")),
    };
    outcome("list", fs::read_dir(&job.directory).err());
    outcome("read", fs::File::open(&lock).err());
    outcome(
        "write",
        fs::OpenOptions::new().write(true).open(&lock).err(),
    );
    outcome("remove", fs::remove_file(&socket).err());
    outcome("connect", bad::connect(&socket).err().map(Into::into));
    say("done");
}

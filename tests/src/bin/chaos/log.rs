//! What the processes log, each into a file beside its book, and all of them in one file when
//! something is wrong.

use ipmb_tests::chaos::now;
use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

/// What is logged, unless `IPMB_LOG` says otherwise.
const FILTER: &str = "ipmb=debug";

/// Logs into the file that belongs to a book.
pub(super) fn start(book: &Path) -> io::Result<()> {
    let file = File::create(of(book))?;
    let filter = EnvFilter::try_from_env("IPMB_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER));
    tracing_subscriber::fmt()
        .with_writer(Mutex::new(file))
        .with_timer(Clock)
        .with_ansi(false)
        .with_target(false)
        .with_env_filter(filter)
        .try_init()
        .map_err(io::Error::other)
}

/// Puts all logs into one file, in the order of time. Returns where it is.
pub(super) fn gather(books: &Path, name: &str) -> io::Result<PathBuf> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(books)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "log") {
            let process = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(&path)?;
            let timed = text.lines().filter_map(|line| line.split_once(' '));
            lines.extend(timed.map(|(time, rest)| format!("{time} {process:>4} {rest}")));
        }
    }
    lines.sort();
    let place = std::env::temp_dir().join(name);
    let mut file = File::create(&place)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(place)
}

fn of(book: &Path) -> PathBuf {
    book.with_extension("log")
}

/// The ledger's.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:016}", now())
    }
}

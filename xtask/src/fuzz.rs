//! `cargo xtask fuzz`: every target for a while, and a table of what came of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::tool::{Source, Tool};
use crate::{refuse, root, steps};

pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    check: &["cargo", "fuzz", "--version"],
    source: Source::Command(&["cargo", "install", "--locked", "--quiet", "cargo-fuzz"]),
};

/// libFuzzer is C++.
pub(crate) const CPP: Tool = Tool {
    name: "C++ compiler",
    check: &["c++", "--version"],
    source: Source::Debian(&["g++"], None),
};

pub(crate) const NEEDS: &[Tool] = &[CARGO_FUZZ, CPP];

/// An input that takes longer, or more memory, is a failure. A busy machine is slow, so it is long.
const TIMEOUT: [&str; 2] = ["-timeout=120", "-report_slow_units=120"];
const MEMORY: &str = "-rss_limit_mb=1024";
/// Beyond this an input says nothing new, and takes long.
const LONGEST: &str = "-max_len=4096";

struct Arguments<'a> {
    seconds: u64,
    /// What the choices come from; 0 for others each time.
    seed: u32,
    install: bool,
    merge: bool,
    targets: Vec<&'a str>,
}

/// What came of one target.
struct Report {
    target: String,
    executions: Option<u64>,
    coverage: Option<u64>,
    corpus: String,
    crashes: Vec<PathBuf>,
    /// It ended as it should.
    passed: bool,
    took: Duration,
}

pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let arguments = match parse(arguments) {
        Ok(arguments) => arguments,
        Err(why) => return refuse(&why),
    };
    for tool in NEEDS {
        if !tool.is_there() && arguments.install {
            tool.install();
        }
        if !tool.is_there() {
            let name = tool.name;
            return refuse(&format!("there is no {name}: --all installs it"));
        }
    }
    let known = match targets() {
        Ok(known) => known,
        Err(error) => return refuse(&format!("the targets cannot be listed: {error}")),
    };
    if let Some(unknown) = (arguments.targets.iter()).find(|it| known.iter().all(|k| k != *it)) {
        return refuse(&format!(
            "no target {unknown}; there are: {}",
            known.join(", ")
        ));
    }
    let chosen = |it: &String| {
        arguments.targets.is_empty() || arguments.targets.iter().any(|target| target == it)
    };
    let targets: Vec<String> = known.into_iter().filter(chosen).collect();
    if !build() {
        return refuse("the targets cannot be built");
    }
    let start = Instant::now();
    let reports = all(&targets, arguments.seconds, arguments.seed);
    print!("{}", table(&reports));
    println!(
        "{} targets, {} executions, {:.0} s",
        reports.len(),
        reports.iter().filter_map(|it| it.executions).sum::<u64>(),
        start.elapsed().as_secs_f64()
    );
    if let Some(failed) = reports.iter().find(|it| !it.passed) {
        println!("FAILED: {}", failed.target);
        return ExitCode::FAILURE;
    }
    if arguments.merge
        && let Some(failed) = targets.iter().find(|it| !merge(it))
    {
        return refuse(&format!("the corpus of {failed} cannot be merged"));
    }
    ExitCode::SUCCESS
}

fn parse<'a>(arguments: &[&'a str]) -> Result<Arguments<'a>, String> {
    let mut parsed = Arguments {
        seconds: 30,
        seed: 0,
        install: false,
        merge: false,
        targets: Vec::new(),
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--seconds" => {
                let seconds = arguments.next().and_then(|it| it.parse().ok());
                parsed.seconds = seconds.ok_or("--seconds takes a number")?;
            }
            "--seed" => {
                let seed = arguments.next().and_then(|it| it.parse().ok());
                parsed.seed = seed.ok_or("--seed takes a number")?;
            }
            "--all" => parsed.install = true,
            "--merge" => parsed.merge = true,
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            target => parsed.targets.push(target),
        }
    }
    Ok(parsed)
}

/// The names of all targets: of the programs that there are.
fn targets() -> std::io::Result<Vec<String>> {
    let mut targets = Vec::new();
    for file in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = file?.path();
        targets.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}

/// Builds all targets. The flags that sanitizers and coverage need are not for a stable compiler, which takes them all
/// the same if it is told so.
fn build() -> bool {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["fuzz", "build", "--features", "libfuzzer"])
        // Compiling takes more than is gained by it in so short runs.
        .args(["--codegen-units", "16"])
        .arg("--target-dir")
        .arg(folder("build"))
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root());
    command.status().is_ok_and(|status| status.success())
}

/// Runs the targets, as many at a time as there are processors.
fn all(targets: &[String], seconds: u64, seed: u32) -> Vec<Report> {
    let (left, reports) = (Mutex::new(targets.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().ok()?.next();
    let at_a_time = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let report = fuzz(target, seconds, seed);
                    println!("{}: {}", report.target, report.executions.unwrap_or(0));
                    if let Ok(mut reports) = reports.lock() {
                        reports.push(report);
                    }
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_default();
    reports.sort_by(|one, other| one.target.cmp(&other.target));
    reports
}

/// Runs one target. What it finds goes to a corpus of its own, which the next run goes on with, and not into the
/// repository: `--merge` takes from there what is new.
fn fuzz(target: &str, seconds: u64, seed: u32) -> Report {
    let start = Instant::now();
    let mut report = Report {
        target: target.to_owned(),
        executions: None,
        coverage: None,
        corpus: String::new(),
        crashes: Vec::new(),
        passed: false,
        took: Duration::ZERO,
    };
    let (found, crashes, log) = (
        folder("corpus").join(target),
        folder("crashes").join(target),
        folder("logs").join(target),
    );
    let made = [&found, &crashes, &folder("logs")].map(fs::create_dir_all);
    let Ok(output) = File::create(&log) else {
        return report;
    };
    let status = program(target)
        .args(TIMEOUT)
        .args([MEMORY, LONGEST, "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-seed={seed}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .args([&found, &committed(target)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .status();
    let log = fs::read(&log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    report.passed = status.is_ok_and(|it| it.success()) && made.iter().all(Result::is_ok);
    report.took = start.elapsed();
    read_log(&mut report, &log);
    if !report.passed {
        report.crashes = fs::read_dir(crashes)
            .map(|files| files.flatten().map(|file| file.path()).collect())
            .unwrap_or_default();
        println!("\n──── {target}\n{}", end_of(&log));
    }
    report
}

/// The repository's corpus, and what was found beyond it: the fewest inputs that reach all that they reach.
fn merge(target: &str) -> bool {
    let new = folder("merged").join(target);
    let _ = fs::remove_dir_all(&new);
    let merged = fs::create_dir_all(&new).is_ok()
        && program(target)
            .args(["-set_cover_merge=1", "-use_counters=0", LONGEST])
            .args([&new, &committed(target), &folder("corpus").join(target)])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    // Inputs that a person put there have names, and stay.
    let is_found = |path: &Path| path.file_name().is_some_and(|it| it.len() == 40);
    let files = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let replace = || {
        for old in files(committed(target)).filter(|it| is_found(&it.path())) {
            fs::remove_file(old.path())?;
        }
        for file in files(new.clone()) {
            fs::copy(file.path(), committed(target).join(file.file_name()))?;
        }
        std::io::Result::Ok(())
    };
    merged && replace().is_ok()
}

fn program(target: &str) -> Command {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let path = folder("build").join(triple).join("release").join(target);
    let mut command = Command::new(path);
    command.env("ASAN_OPTIONS", "detect_odr_violation=0");
    command
}

fn committed(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

/// A folder for what fuzzing makes.
fn folder(name: &str) -> PathBuf {
    steps::target("fuzz").join(name)
}

/// Takes from libFuzzer's log what the table shows.
fn read_log(report: &mut Report, log: &str) {
    let number_after = |line: &str, word: &str| {
        let (_, rest) = line.split_once(word)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    for line in log.lines() {
        if let Some(executions) = number_after(line, "stat::number_of_executed_units:") {
            report.executions = Some(executions);
        }
        if let Some(coverage) = number_after(line, " cov: ") {
            report.coverage = Some(coverage);
        }
        if let Some((_, rest)) = line.split_once(" corp: ") {
            report.corpus = rest.split_whitespace().next().unwrap_or("").to_owned();
        }
    }
}

/// Where a log says what went wrong.
fn end_of(log: &str) -> String {
    let wrong = |line: &&str| line.contains("panicked at") || line.contains("ERROR:");
    let lines: Vec<&str> = log.lines().collect();
    let start = lines.iter().position(wrong);
    let start = start.unwrap_or(lines.len().saturating_sub(20));
    lines[start..lines.len().min(start + 60)].join("\n")
}

fn table(reports: &[Report]) -> String {
    let mut table = format!(
        "\n{:<12} {:>11} {:>9} {:>12} {:>8} {:>8}\n",
        "target", "executions", "coverage", "corpus", "crashes", "seconds"
    );
    let number = |it: Option<u64>| it.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let mut crashes = String::new();
    for report in reports {
        let seconds = report.took.as_secs_f64();
        table += &format!(
            "{:<12} {:>11} {:>9} {:>12} {:>8} {:>8.1}\n",
            report.target,
            number(report.executions),
            number(report.coverage),
            report.corpus,
            usize::from(!report.passed),
            seconds
        );
        for crash in &report.crashes {
            crashes += &format!("{}: {}\n", report.target, crash.display());
        }
    }
    table + &crashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood() {
        let parsed = parse(&["--seconds", "5", "lane", "--merge"]).ok().unwrap();
        assert_eq!((parsed.seconds, parsed.merge), (5, true));
        assert_eq!((parsed.targets, parsed.install), (vec!["lane"], false));
        assert!(parse(&["--seconds"]).is_err());
        assert!(parse(&["--seconds", "x"]).is_err());
        assert!(parse(&["--unknown"]).is_err());
    }

    #[test]
    fn the_last_figures_of_a_log_count() {
        let mut report = Report {
            target: "lane".to_owned(),
            executions: None,
            coverage: None,
            corpus: String::new(),
            crashes: vec!["crash-1".into()],
            passed: false,
            took: Duration::from_millis(1_500),
        };
        let log = "\
#2\tINITED cov: 20 ft: 21 corp: 1/1b exec/s: 0 rss: 37Mb
#99\tDONE   cov: 655 ft: 2319 corp: 297/6164b lim: 48 exec/s: 3155 rss: 416Mb
stat::number_of_executed_units: 99
==1== ERROR: libFuzzer: deadly signal
where
";
        read_log(&mut report, log);
        assert_eq!(
            table(&[report]),
            "
target        executions  coverage       corpus  crashes  seconds
lane                  99       655    297/6164b        1      1.5
lane: crash-1
"
        );
        assert_eq!(end_of(log), "==1== ERROR: libFuzzer: deadly signal\nwhere");
    }

    #[test]
    fn every_program_is_a_target() {
        let targets = targets().unwrap();
        assert!(targets.contains(&"controller".to_owned()), "{targets:?}");
        for target in targets {
            assert!(committed(&target).is_dir(), "{target} has no corpus");
        }
    }
}

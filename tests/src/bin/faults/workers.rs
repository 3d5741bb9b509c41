//! Has cases run in processes, and finds out what came of them.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::Wishes;
use crate::case::Case;
use crate::plan::cases;
use crate::scenarios::{self, Scenario};
use crate::table::Table;
use crate::worker::{Outcome, from_line};

/// Whoever says nothing for so long hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often a case is run that found no such call, or was late (the machine may have been busy).
const TRIES: u32 = 2;

pub fn run(wishes: &Wishes) -> ExitCode {
    let start = Instant::now();
    let wanted = |it: &&Scenario| {
        wishes.scenarios.is_empty() || wishes.scenarios.iter().any(|name| name == it.name)
    };
    let mut table = Table::default();
    let mut queue = VecDeque::from(wishes.cases.clone());
    if wishes.cases.is_empty() {
        for scenario in scenarios::ALL.iter().filter(wanted) {
            match count(scenario) {
                Ok(calls) => {
                    table.calls += u64::from(calls.iter().sum::<u32>());
                    queue.extend(cases(scenario.name, &calls, wishes.full));
                }
                Err(why) => table.fail(format!("{} without faults: {why}", scenario.name)),
            }
        }
    }
    let spread = interleave(queue);
    let (queue, table) = (Mutex::new(spread), Mutex::new(table));
    thread::scope(|scope| {
        for _ in 0..wishes.workers {
            scope.spawn(|| {
                let mut worker = None;
                loop {
                    let next = match queue.lock() {
                        Ok(mut queue) => queue.pop_front(),
                        Err(_) => None,
                    };
                    let Some(case) = next else { return };
                    if wishes.limit.is_some_and(|limit| start.elapsed() > limit) {
                        if let Ok(mut table) = table.lock() {
                            table.untried += 1;
                        }
                        continue;
                    }
                    let (outcome, tries) = settle(&mut worker, &case);
                    if let Ok(mut table) = table.lock() {
                        table.add(&case, &outcome, tries);
                    }
                }
            });
        }
    });
    let Ok(table) = table.into_inner() else {
        return ExitCode::FAILURE;
    };
    print!("{}", table.text(start.elapsed()));
    match table.failed() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Where time ends before the cases do, all scenarios have had some.
fn interleave(mut cases: VecDeque<Case>) -> VecDeque<Case> {
    let cases = cases.make_contiguous();
    // Any order that is always the same: multiplication by an odd number permutes.
    let mut order: Vec<(u64, Case)> = (0_u64..)
        .zip(cases.iter())
        .map(|(index, case)| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15), *case))
        .collect();
    order.sort_by_key(|(key, _)| *key);
    order.into_iter().map(|(_, case)| case).collect()
}

fn count(scenario: &Scenario) -> Result<Vec<u32>, String> {
    let mut why = String::new();
    for _ in 0..TRIES {
        match Worker::start()?.ask(scenario.name) {
            Outcome::Fine(seen) => return Ok(seen.calls),
            other => why = format!("{other:?}"),
        }
    }
    Err(why)
}

/// Runs a case, again if it has to be; and how often it was run.
fn settle(worker: &mut Option<Worker>, case: &Case) -> (Outcome, u32) {
    let fresh = scenarios::find(case.scenario).is_some_and(|it| it.fresh);
    let mut tries = 0;
    loop {
        tries += 1;
        let mut current = match worker.take().filter(|_| !fresh && tries == 1) {
            Some(worker) => worker,
            None => match Worker::start() {
                Ok(worker) => worker,
                Err(why) => return (Outcome::Wrong(why), tries),
            },
        };
        let outcome = current.ask(&case.to_string());
        match outcome {
            Outcome::Fine(_) => *worker = Some(current),
            Outcome::Late(why) if tries < TRIES => {
                eprintln!("late, and so run again: --case '{case}': {why}");
                continue;
            }
            Outcome::Unreached if tries < TRIES => continue,
            _ => {}
        }
        return (outcome, tries);
    }
}

/// A process that runs cases.
struct Worker {
    child: Child,
    lines: Receiver<String>,
}

impl Worker {
    fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("no pipe")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    fn ask(&mut self, line: &str) -> Outcome {
        let told = self
            .child
            .stdin
            .as_mut()
            .map(|input| writeln!(input, "{line}"));
        if !matches!(told, Some(Ok(()))) {
            return Outcome::Wrong("the process has ended".to_owned());
        }
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => from_line(&line).unwrap_or(Outcome::Wrong(line)),
            Err(mpsc::RecvTimeoutError::Timeout) => Outcome::Late("it hangs".to_owned()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Outcome::Wrong(format!("the process died: {:?}", self.child.wait()))
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! `worker`: reads cases, a line each, and says what came of them, a line each.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use ipmb_sys::faults::{self, Plan, Seen};
use ipmb_tests::proc::Belongings;

use crate::case::Case;
use crate::scenarios::{self, Scenario};
use crate::stage::Stage;

/// How long what is left may take to go.
const REST: Duration = Duration::from_secs(10);

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing is wrong.
    Fine(Seen),
    /// There is no such occurrence of the call.
    Unreached,
    /// Something ended with its patience; nothing else is wrong.
    Late(String),
    /// As it says.
    Wrong(String),
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub fn run() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let to_stderr = tracing_subscriber::fmt().with_writer(std::io::stderr);
    to_stderr.with_env_filter(filter).init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if let Ok(mut panics) = PANICS.lock() {
            panics.push(info.to_string().replace('\n', " "));
        }
        usual(info);
    }));
    for line in std::io::stdin().lines() {
        let Ok(line) = line else { return };
        let outcome = match (scenarios::find(&line), line.parse::<Case>()) {
            (Some(scenario), _) => play(scenario, None),
            (None, Ok(case)) => match scenarios::find(case.scenario) {
                Some(scenario) => play(scenario, Some(case.plan)),
                None => Outcome::Wrong("no such scenario".to_owned()),
            },
            (None, Err(())) => Outcome::Wrong(format!("what is {line:?}?")),
        };
        let mut output = std::io::stdout();
        if writeln!(output, "{}", to_line(&outcome))
            .and_then(|()| output.flush())
            .is_err()
        {
            return;
        }
    }
}

fn play(scenario: &Scenario, plan: Option<Plan>) -> Outcome {
    let before = Belongings::of_this_process();
    let stage = Stage::new(plan);
    let played = catch_unwind(AssertUnwindSafe(|| (scenario.play)(&stage)));
    faults::stop();
    let (seen, mut wrong, late) = stage.result();
    let end = Instant::now() + REST;
    let mut left = before.what_is_new();
    while left != "nothing" && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
        left = before.what_is_new();
    }
    // What a dead peer was called may be wrong, but nothing is left behind, and nothing panics.
    if plan.is_some_and(is_a_lie) {
        wrong.clear();
    }
    if left != "nothing" {
        wrong.push(format!("left behind: {left}"));
    }
    if let Ok(mut panics) = PANICS.lock() {
        wrong.extend(panics.drain(..).map(|it| format!("panic: {it}")));
    }
    if played.is_err() && wrong.is_empty() {
        wrong.push("panic".to_owned());
    }
    if !wrong.is_empty() {
        wrong.extend(late);
        return Outcome::Wrong(wrong.join("; "));
    }
    let hit = seen.hit_caller + seen.hit_own_thread > 0;
    match plan {
        Some(plan) if !is_a_lie(plan) && !late.is_empty() => Outcome::Late(late.join("; ")),
        None if !late.is_empty() => Outcome::Late(late.join("; ")),
        Some(_) if !hit => Outcome::Unreached,
        _ => Outcome::Fine(seen),
    }
}

/// Whether what the call says is untrue, and not only a refusal: that somebody is dead who lives, or
/// that something is taken which is free, or that nothing has come that has. Then others may be right to give up.
pub fn is_a_lie(plan: Plan) -> bool {
    use faults::Call;
    let name = crate::case::name_of(plan.call, plan.fault);
    matches!(
        (plan.call, name),
        (Call::Sendmsg, "EPIPE" | "ECONNRESET")
            | (Call::PidfdOpen, "ESRCH")
            | (Call::FcntlLock, "EAGAIN" | "EACCESS")
            | (Call::Recv | Call::Recvmsg | Call::Recvmmsg, "EAGAIN")
    )
}

fn to_line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Fine(seen) => {
            let calls: Vec<String> = seen.calls.iter().map(u32::to_string).collect();
            let hits = (seen.hit_caller, seen.hit_own_thread);
            format!("fine\t{}\t{}\t{}", hits.0, hits.1, calls.join(" "))
        }
        Outcome::Unreached => "unreached".to_owned(),
        Outcome::Late(why) => format!("late\t{why}"),
        Outcome::Wrong(why) => format!("wrong\t{}", why.replace(['\n', '\t'], " ")),
    }
}

/// What `to_line` has made.
pub fn from_line(line: &str) -> Option<Outcome> {
    let words: Vec<&str> = line.split('\t').collect();
    Some(match words[..] {
        ["fine", caller, own, calls] => Outcome::Fine(Seen {
            hit_caller: caller.parse().ok()?,
            hit_own_thread: own.parse().ok()?,
            calls: calls.split(' ').flat_map(str::parse).collect(),
        }),
        ["unreached"] => Outcome::Unreached,
        ["late", why] => Outcome::Late(why.to_owned()),
        ["wrong", why] => Outcome::Wrong(why.to_owned()),
        _ => return None,
    })
}

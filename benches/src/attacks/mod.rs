//! What becomes of a bus that is attacked, or used beyond what its makers thought of: ipmb 0.8.5 beside ours,
//! in the same run. All that is printed was seen; nothing is taken from memory.
//!
//! | module | what |
//! |---|---|
//! | `system` | the two of them behind one small trait |
//! | `scenes` | what is done to them, and what is made of what is seen |
//! | `parts` | what the processes of a scene do |
//! | `cast` | starts the processes, hears what they say, kills them |

mod cast;
mod parts;
mod scenes;
mod system;

use std::process::ExitCode;

/// Makes the program this.
pub(crate) const OPTION: &str = "--attacks";
/// Makes the program a process of a scene. What follows is not for people.
pub(crate) const PART: &str = "--attacked";

/// What was seen.
struct Seen {
    /// In a few words, for the table.
    what: String,
    /// Whether it is what one would wish for.
    good: bool,
}

impl Seen {
    fn good(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            good: true,
        }
    }

    fn bad(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            good: false,
        }
    }
}

/// Prints the table. Fails if ours does not do well.
pub(crate) fn main() -> ExitCode {
    println!("| | ipmb 0.8.5 | ipmb |\n|---|---|---|");
    let mut all_good = true;
    for (scene, seen) in scenes::ALL.iter().zip(play_all()) {
        let [theirs, ours] = seen;
        all_good &= ours.good;
        println!("| {} | {} | {} |", scene.about, theirs.what, ours.what);
    }
    match all_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// All scenes with both, most of them at the same time: they wait more than they work. What measures time
/// comes after the others.
fn play_all() -> Vec<[Seen; 2]> {
    let play = |scene: &scenes::Scene, system| {
        (scene.play)(system).unwrap_or_else(|error| Seen::bad(format!("not seen: {error}")))
    };
    let results = std::thread::scope(|threads| {
        let started: Vec<_> = scenes::ALL
            .iter()
            .map(|scene| {
                let start = |system| threads.spawn(move || play(scene, system));
                (!scene.measures).then(|| system::NAMES.map(start))
            })
            .collect();
        let ended = started.into_iter().map(|both| {
            let end = |thread: std::thread::ScopedJoinHandle<'_, Seen>| {
                thread
                    .join()
                    .unwrap_or_else(|_| Seen::bad("not seen: it panicked"))
            };
            both.map(|both| both.map(end))
        });
        ended.collect::<Vec<_>>()
    });
    let scenes = scenes::ALL.iter().zip(results);
    let rest = |(scene, seen): (&scenes::Scene, Option<_>)| {
        seen.unwrap_or_else(|| system::NAMES.map(|system| play(scene, system)))
    };
    scenes.map(rest).collect()
}

/// One of the processes.
pub(crate) fn part(arguments: &[String]) -> ExitCode {
    match parts::play(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed {error}");
            ExitCode::FAILURE
        }
    }
}

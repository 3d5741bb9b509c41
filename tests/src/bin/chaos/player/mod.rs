//! An endpoint process: `chaos player DIRECTORY BOOK SEED NAME NAMES PROCESS`. It is told, in lines:
//!
//! * `join NUMBER`: joins, and begins to play; `joined`;
//! * `quiet`: ends what it has begun, and only receives; `quiet`;
//! * `play`: goes on;
//! * `leave`: leaves the bus; `left nothing`, or `left` and what is left.
//!
//! What it finds wrong it says at any time: `fault KIND TEXT`.

mod asker;
mod clerk;
mod listener;
mod speaker;
mod stage;

pub(super) use speaker::TTL;

use ipmb::{EndpointReceiver, EndpointSender, Options, Overflow, SendError};
use ipmb_tests::{
    chaos::{
        book::Book,
        dice::Dice,
        mail::Mail,
        record::{Event, Outcome, Process, Session},
        words::Words,
    },
    options,
    proc::Belongings,
};
use stage::{Mode, Stage};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// So many threads send of themselves.
const SPEAKERS: u8 = 2;
/// Threads have numbers, which are part of those of their messages.
const ASKER: u8 = SPEAKERS;
const CLERK: u8 = ASKER + 1;
/// Not the number of a thread.
const LEAVER: u8 = 101;

/// What a process knows of itself.
struct Player {
    directory: PathBuf,
    book: Book,
    /// Of the whole run.
    seed: u64,
    name: u64,
    names: u64,
    process: Process,
}

/// What the threads of one session share.
struct Scene {
    player: Arc<Player>,
    session: Session,
    words: Words,
    stage: Stage,
    sender: EndpointSender<Mail>,
}

/// One time on the bus.
struct Play {
    scene: Arc<Scene>,
    senders: Vec<JoinHandle<()>>,
    listener: JoinHandle<()>,
}

pub(super) fn main(arguments: &[String]) -> ExitCode {
    let [directory, book, seed, name, names, process] = arguments else {
        return ExitCode::from(2);
    };
    crate::log::start(Path::new(book)).expect("a log");
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let player = Arc::new(Player {
        directory: directory.into(),
        book: Book::open(Path::new(book)).expect("a book"),
        seed: number(seed),
        name: number(name),
        names: number(names),
        process: Process(number(process) as u32),
    });
    say("ready");
    let mut lines = io::stdin().lines().map_while(Result::ok);
    // What the first line that is heard takes is not the bus's.
    lines.next();
    let before = Belongings::of_this_process();
    say("ready");
    let mut play = None;
    for line in lines {
        match line.split_once(' ').unwrap_or((line.as_str(), "")) {
            ("join", which) => {
                let which = which.parse().expect("a number");
                play = Play::begin(&player, Session::of(player.process, which));
                if play.is_some() {
                    say("joined");
                }
            }
            ("quiet", _) => {
                if let Some(play) = &play {
                    play.scene.stage.set(Mode::Quiet);
                    play.scene.stage.wait_until_idle(usize::from(SPEAKERS) + 1);
                    say("quiet");
                }
            }
            ("play", _) => {
                if let Some(play) = &play {
                    play.scene.stage.set(Mode::Play);
                }
            }
            ("leave", _) => {
                if let Some(play) = play.take() {
                    play.end();
                    say(&format!("left {}", what_is_left(&before)));
                }
            }
            _ => panic!("what is {line:?}?"),
        }
    }
    // Whoever is still blocked somewhere ends with the process.
    std::process::exit(0)
}

/// Threads end a moment after the endpoint.
fn what_is_left(before: &Belongings) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = before.what_is_new();
        if left == "nothing" || Instant::now() >= deadline {
            return left;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

impl Play {
    fn begin(player: &Arc<Player>, session: Session) -> Option<Self> {
        let mut dice = Dice::of(player.seed, &[session.0.into()]);
        let words = Words::random(player.name, &mut dice);
        let options = random_options(player, words, &mut dice);
        player.book.write(Event::Joining(session, words));
        let (sender, receiver) = match ipmb::join::<Mail, Mail>(options, None) {
            Ok(joined) => joined,
            Err(error) => {
                fault("Failed", &format!("join: {error}"));
                return None;
            }
        };
        player.book.write(Event::Joined(session));
        let scene = Arc::new(Scene {
            player: Arc::clone(player),
            session,
            words,
            stage: Stage::default(),
            sender,
        });
        Some(Self::spawn(scene, receiver))
    }

    fn spawn(scene: Arc<Scene>, receiver: EndpointReceiver<Mail>) -> Self {
        let (questions, to_answer) = mpsc::channel();
        let start = |name: &str, run: Box<dyn FnOnce(&Scene) + Send>| {
            let scene = Arc::clone(&scene);
            let builder = thread::Builder::new().name(name.to_owned());
            builder.spawn(move || run(&scene)).expect("a thread")
        };
        let mut senders: Vec<_> = (0..SPEAKERS)
            .map(|number| {
                let run = Box::new(move |scene: &Scene| speaker::run(scene, number));
                start("speaker", run)
            })
            .collect();
        senders.push(start("asker", Box::new(asker::run)));
        let run = Box::new(move |scene: &Scene| clerk::run(scene, &to_answer));
        senders.push(start("clerk", run));
        let run = Box::new(move |scene: &Scene| listener::run(scene, &receiver, &questions));
        let listener = start("listener", run);
        Self {
            scene,
            senders,
            listener,
        }
    }

    fn end(self) {
        let Self {
            scene,
            senders,
            listener,
        } = self;
        let mut ended = true;
        let mut end = |threads: Vec<JoinHandle<()>>| {
            let mut ends = threads.into_iter().map(JoinHandle::join);
            ended &= ends.all(|it| it.is_ok());
        };
        let mut dice = scene.dice(LEAVER);
        if dice.chance(400) {
            scene.write(Event::Leaving(scene.session));
            scene.stage.set(Mode::Deaf);
            end(vec![listener]);
            scene.stage.rest(dice.micros(0..=300_000));
            scene.stage.set(Mode::Leave);
            end(senders);
        } else {
            scene.stage.set(Mode::Leave);
            // The listener goes on reading: somebody who leaves, too, may wait for room here.
            end(senders);
            scene.write(Event::Leaving(scene.session));
            scene.stage.set(Mode::Gone);
            end(vec![listener]);
        }
        if !ended {
            fault("Failed", "a thread panicked");
        }
        let (player, session) = (Arc::clone(&scene.player), scene.session);
        drop(scene);
        player.book.write(Event::Left(session));
    }
}

fn random_options(player: &Player, words: Words, dice: &mut Dice) -> Options {
    let budgets = [64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20];
    let budget = *dice.choose(&budgets).expect("some");
    let overflow = match words.is_lossy() {
        true if dice.chance(500) => Overflow::DropNewest,
        true => Overflow::DropOldest,
        false => Overflow::Block,
    };
    options(&player.directory, words.label())
        .with_overflow(overflow)
        // Some of them always may: without a controller there is no end to anything.
        .with_controller_affinity(player.name < 2 || !dice.chance(250))
        .with_inbox_budget(budget)
}

impl Scene {
    fn dice(&self, thread: u8) -> Dice {
        Dice::of(self.player.seed, &[self.session.0.into(), thread.into()])
    }

    fn write(&self, event: Event) {
        self.player.book.write(event);
    }
}

/// What an error of a call that sends means to the ledger.
fn outcome(error: &SendError, delivered: usize) -> Outcome {
    match error {
        SendError::Timeout | SendError::WouldBlock => Outcome::NoRoom(delivered as u32),
        error => {
            fault("Failed", &format!("send: {error}"));
            Outcome::Failed
        }
    }
}

fn fault(kind: &str, text: &str) {
    say(&format!("fault {kind} {text}"));
}

/// Whoever does not hear it is gone.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

//! The main job, from end to end: a small solar system, in which every body is a process.
//!
//! `cargo run --release --example solar`
//!
//! The program starts itself once more for every body (`solar earth DIRECTORY`) and watches them
//! from an endpoint of its own, the observer. The bodies talk to each other and report to it.
//! Whatever differs from what the bus promises ends the program with an error.

use ipmb::{
    Label, LabelOp, MemoryRegistry, Message, MessageBox, Object, Options, Selector, TypeUuid,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    env,
    error::Error,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, ExitCode},
    time::{Duration, Instant},
};

/// Nothing here takes nearly as long; who hears nothing for that long gives up.
const PATIENCE: Duration = Duration::from_secs(20);
const PICTURE_SIZE: usize = 1 << 20;
const STARS: usize = 4096;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// All that travels on this bus. An endpoint may name as few of the types as it needs: the
/// observer receives nothing but `Report`.
#[derive(MessageBox)]
enum Sky {
    Word(String),
    Order(Order),
    Ball(Ball),
    Picture(Picture),
    Report(Report),
}

/// What the observer tells a body to do.
#[derive(Serialize, Deserialize, TypeUuid)]
#[uuid = "71a7619d-6126-47d2-a86f-865665a90f18"]
enum Order {
    Answer,
    WriteIntoThis,
    PhotographFor(String),
    PlayWith(String),
    Rest,
    Set,
}

/// Thrown to and fro. Its number rises by one with every throw.
#[derive(Serialize, Deserialize, TypeUuid)]
#[uuid = "7252d1d8-7174-4030-bbc2-1d888b80f881"]
struct Ball {
    from: String,
    number: u64,
}

/// Travels with a memory region that holds the picture itself.
#[derive(Serialize, Deserialize, TypeUuid)]
#[uuid = "a39ef064-6c8b-454b-8615-b028093088bf"]
struct Picture {
    size: usize,
}

#[derive(Serialize, Deserialize, TypeUuid)]
#[uuid = "a0ad59cf-1284-46cc-ac80-a4a8779d7916"]
struct Report {
    body: String,
    event: Event,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Joined,
    Here,
    Heard(String),
    Counted(usize),
    Playing,
    Played(u64),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (who, outcome) = match arguments.as_slice() {
        [] => ("the observer", observe()),
        [name, directory] => (name.as_str(), live(name, directory.as_ref())),
        _ => ("solar", Err("run it without arguments".into())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{who}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn live(name: &str, directory: &Path) -> Outcome {
    Body::join(name, directory)?.live()
}

/// The story.
fn observe() -> Outcome {
    let directory = tempfile::tempdir()?;
    let mut system = System::begin(&directory.path().join("bus"))?;
    for name in ["earth", "moon", "saturn"] {
        system.start(name)?;
    }
    tell("join", "sun, earth, moon and saturn, four processes");
    tell("", "the sun was first, so it is the controller");

    let heard_by = system.audience(Selector::unicast("moon"))?;
    same(heard_by, ["moon"])?;
    tell("unicast", "to `moon`: heard by the moon alone");
    let heard_by = system.audience(Selector::unicast("planet"))?;
    same(heard_by, ["earth"])?;
    tell(
        "",
        "to `planet`: heard by earth, which joined before saturn",
    );

    let heard_by = system.audience(Selector::multicast(LabelOp::True))?;
    same(heard_by, ["earth", "moon", "saturn", "sun"])?;
    tell("multicast", "to all: heard by earth, moon, saturn and sun");
    let dry = LabelOp::from("planet").and(!LabelOp::from("rings"));
    let heard_by = system.audience(Selector::multicast(dry.or("satellite")))?;
    same(heard_by, ["earth", "moon"])?;
    tell(
        "",
        "to `planet and not rings, or satellite`: earth and moon",
    );

    system.send(letter_to("comet"), Sky::Word("welcome".into()))?;
    system.start("comet")?;
    system.expect("comet", Event::Heard("welcome".into()))?;
    tell("ttl", "the comet read a letter from before it joined");

    let text = system.pipe_through("earth")?;
    same([text.as_str()], ["greetings from earth"])?;
    tell("object", "earth got a pipe's end, and wrote into it:");
    tell("", &format!("\"{text}\""));

    let order = Order::PhotographFor("saturn".into());
    system.send(Selector::unicast("moon"), Sky::Order(order))?;
    system.expect("saturn", Event::Counted(STARS))?;
    tell(
        "region",
        "the moon drew 4096 stars into 1 MiB of shared memory,",
    );
    tell("", "saturn counted them there");

    system.send(letter_to("mars"), Sky::Word("still there?".into()))?;
    let order = Order::PlayWith("moon".into());
    system.send(Selector::unicast("earth"), Sky::Order(order))?;
    system.expect("earth", Event::Playing)?;
    tell("failover", "earth and moon play ball");
    let pid = system.kill("sun")?;
    let killed = Instant::now();
    let probe = options(&system.directory, Label::from(["probe"]));
    drop(ipmb::join::<(), ()>(probe, Some(PATIENCE))?);
    let took = killed.elapsed().as_secs_f64() * 1e3;
    tell(
        "",
        &format!("kill -9 {pid}: the sun, the controller, is dead"),
    );
    tell(
        "",
        &format!("{took:.1} ms later, a new endpoint has joined"),
    );
    system.start("mars")?;
    system.expect("mars", Event::Heard("still there?".into()))?;
    tell("", "mars read a letter that waited since before the kill");
    system.send(Selector::unicast("earth"), Sky::Order(Order::Rest))?;
    let throws = system.throws()?;
    tell(
        "",
        &format!("{throws} throws: none lost, none twice, all in order"),
    );

    let everybody = Selector::multicast(LabelOp::True);
    system.send(everybody, Sky::Order(Order::Set))?;
    system.end()?;
    tell("leave", "all bodies have set, with exit status 0");
    Ok(())
}

fn tell(what: &str, line: &str) {
    println!("{what:<10} {line}");
}

/// A letter that waits for its reader.
fn letter_to(body: &str) -> Selector {
    let mut selector = Selector::unicast(body);
    selector.ttl = PATIENCE;
    selector
}

fn options(directory: &Path, label: Label) -> Options {
    Options::new("com.example.solar", label, "heliocentric").with_runtime_directory(directory)
}

fn same<'a>(
    found: impl IntoIterator<Item = impl AsRef<str>>,
    expected: impl IntoIterator<Item = &'a str>,
) -> Outcome {
    let found: Vec<String> = found.into_iter().map(|s| s.as_ref().to_owned()).collect();
    let expected: Vec<&str> = expected.into_iter().collect();
    if found == expected {
        Ok(())
    } else {
        Err(format!("expected {expected:?}, found {found:?}").into())
    }
}

/// The observer, and the processes that it watches.
struct System {
    directory: std::path::PathBuf,
    sender: ipmb::EndpointSender<Sky>,
    receiver: ipmb::EndpointReceiver<Report>,
    bodies: Vec<Process>,
}

impl System {
    fn begin(directory: &Path) -> Outcome<Self> {
        let sun = Process::start("sun", directory)?;
        let mut options = options(directory, ipmb::label!("observer"));
        // The observer leaves the control of the bus to others, so that there is one to kill.
        // This waits for a controller, and that can only be the sun.
        options.controller_affinity = false;
        let (sender, receiver) = ipmb::join(options, Some(PATIENCE))?;
        let system = Self {
            directory: directory.to_owned(),
            sender,
            receiver,
            bodies: vec![sun],
        };
        system.expect("sun", Event::Joined)?;
        Ok(system)
    }

    fn start(&mut self, name: &str) -> Outcome {
        self.bodies.push(Process::start(name, &self.directory)?);
        self.expect(name, Event::Joined)
    }

    fn send(&self, selector: Selector, payload: Sky) -> Outcome {
        Ok(self.sender.send(Message::new(selector, payload))?)
    }

    fn report(&self) -> Outcome<Report> {
        Ok(self.receiver.recv(Some(PATIENCE))?.payload)
    }

    fn expect(&self, body: &str, event: Event) -> Outcome {
        let report = self.report()?;
        if report.body == body && report.event == event {
            return Ok(());
        }
        Err(format!(
            "expected {event:?} of {body}, but {} says {:?}",
            report.body, report.event
        )
        .into())
    }

    /// Says a word to `selector`, then calls the roll. As order is kept, who has not heard the
    /// word when it answers will not hear it any more.
    fn audience(&self, selector: Selector) -> Outcome<BTreeSet<String>> {
        self.send(selector, Sky::Word("hello".into()))?;
        let everybody = Selector::multicast(LabelOp::True);
        self.send(everybody, Sky::Order(Order::Answer))?;
        let mut heard = BTreeSet::new();
        let mut answers = 0;
        while answers < self.bodies.len() {
            let report = self.report()?;
            match report.event {
                Event::Here => answers += 1,
                Event::Heard(_) if heard.insert(report.body.clone()) => {}
                event => return Err(format!("{} says {event:?}", report.body).into()),
            }
        }
        Ok(heard)
    }

    /// Gives the writing end of a pipe away, and reads until it is closed.
    fn pipe_through(&self, body: &str) -> Outcome<String> {
        let (mut reader, writer) = io::pipe()?;
        let order = Sky::Order(Order::WriteIntoThis);
        let mut message = Message::new(Selector::unicast(body), order);
        message.objects.push(Object::from(OwnedFd::from(writer)));
        self.sender.send(message)?;
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        Ok(text)
    }

    /// As `kill -9`.
    fn kill(&mut self, name: &str) -> Outcome<u32> {
        let found = self.bodies.iter().position(|body| body.name == name);
        let mut body = self.bodies.remove(found.ok_or("there is no such body")?);
        body.child.kill()?;
        body.child.wait()?;
        Ok(body.child.id())
    }

    fn throws(&self) -> Outcome<u64> {
        match self.report()?.event {
            Event::Played(throws) => Ok(throws),
            event => Err(format!("earth says {event:?}").into()),
        }
    }

    fn end(self) -> Outcome {
        for mut body in self.bodies {
            let status = body.child.wait()?;
            if !status.success() {
                return Err(format!("{} failed: {status}", body.name).into());
            }
        }
        Ok(())
    }
}

/// A child that does not outlive us.
struct Process {
    name: String,
    child: Child,
}

impl Process {
    fn start(name: &str, directory: &Path) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let child = command.arg(name).arg(directory).spawn()?;
        let name = name.to_owned();
        Ok(Self { name, child })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What runs in a child.
struct Body {
    name: String,
    sender: ipmb::EndpointSender<Sky>,
    receiver: ipmb::EndpointReceiver<Sky>,
    pictures: MemoryRegistry,
    /// The number of the ball that is awaited.
    ball: u64,
    resting: bool,
}

impl Body {
    fn join(name: &str, directory: &Path) -> Outcome<Self> {
        let mut label = ipmb::label!(name);
        match name {
            "sun" => label.insert("star"),
            "moon" => label.insert("satellite"),
            "comet" => {}
            _ => label.insert("planet"),
        }
        if name == "saturn" {
            label.insert("rings");
        }
        let (sender, receiver) = ipmb::join(options(directory, label), Some(PATIENCE))?;
        let body = Self {
            name: name.to_owned(),
            sender,
            receiver,
            pictures: MemoryRegistry::default(),
            ball: 0,
            resting: false,
        };
        body.report(Event::Joined)?;
        Ok(body)
    }

    fn live(mut self) -> Outcome {
        loop {
            let mut message = self.receiver.recv(Some(PATIENCE))?;
            match message.payload {
                Sky::Word(text) => self.report(Event::Heard(text))?,
                Sky::Ball(ball) => self.throw_back(ball)?,
                Sky::Picture(picture) => {
                    let region = message.memory_regions.first_mut();
                    let bytes = region.ok_or("no picture")?.map(..picture.size)?;
                    let stars = bytes.iter().filter(|&&byte| byte == b'*').count();
                    self.report(Event::Counted(stars))?;
                }
                Sky::Order(Order::Answer) => self.report(Event::Here)?,
                Sky::Order(Order::WriteIntoThis) => {
                    let pipe = OwnedFd::from(message.objects.remove(0));
                    write!(File::from(pipe), "greetings from {}", self.name)?;
                }
                Sky::Order(Order::PhotographFor(reader)) => self.photograph_for(&reader)?,
                Sky::Order(Order::PlayWith(other)) => {
                    self.report(Event::Playing)?;
                    self.throw(&other, 0)?;
                    self.ball = 1;
                }
                Sky::Order(Order::Rest) => self.resting = true,
                Sky::Order(Order::Set) => return Ok(()),
                Sky::Report(_) => return Err("reports are for the observer".into()),
            }
        }
    }

    fn photograph_for(&mut self, reader: &str) -> Outcome {
        let mut region = self.pictures.alloc(PICTURE_SIZE, Some("pictures"));
        let bytes = region.map(..PICTURE_SIZE)?;
        bytes.fill(b' ');
        for star in bytes.iter_mut().step_by(PICTURE_SIZE / STARS) {
            *star = b'*';
        }
        let picture = Sky::Picture(Picture { size: PICTURE_SIZE });
        let mut message = Message::new(Selector::unicast(reader), picture);
        message.memory_regions.push(region);
        Ok(self.sender.send(message)?)
    }

    /// A ball with any number but the next one was lost, doubled or overtaken by another.
    fn throw_back(&mut self, ball: Ball) -> Outcome {
        if ball.number != self.ball {
            return Err(format!("ball {} came, not {}", ball.number, self.ball).into());
        }
        if self.resting {
            return self.report(Event::Played(ball.number));
        }
        self.ball += 2;
        self.throw(&ball.from, ball.number + 1)
    }

    fn throw(&self, to: &str, number: u64) -> Outcome {
        let from = self.name.clone();
        self.send(Selector::unicast(to), Sky::Ball(Ball { from, number }))
    }

    /// The first one is written before the observer has joined.
    fn report(&self, event: Event) -> Outcome {
        let body = self.name.clone();
        self.send(letter_to("observer"), Sky::Report(Report { body, event }))
    }

    fn send(&self, selector: Selector, payload: Sky) -> Outcome {
        Ok(self.sender.send(Message::new(selector, payload))?)
    }
}

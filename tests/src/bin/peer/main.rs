//! A process under test: `peer ROLE DIRECTORY ARGUMENTS…`. Each role is a file here.

mod asker;
mod attachments;
mod candidate;
mod clerk;
mod echo;
mod filler;
mod forker;
mod guest;
mod holder;
mod idler;
mod joiner;
mod keeper;
mod listener;
mod members;
mod namesake;
mod parker;
mod poller;
mod poor;
mod prober;
mod pump;
mod relay;
mod scribbler;
mod secretive;
mod sink;
mod source;
mod speaker;
mod squatter;
mod stranger;
mod survivor;
mod viewer;
mod weigher;

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
};

/// What a role is called with.
struct Job {
    directory: PathBuf,
    arguments: Vec<String>,
}

fn main() {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("IPMB_LOG"))
        .init();
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().expect("a role");
    let job = Job {
        directory: arguments.next().expect("a runtime directory").into(),
        arguments: arguments.collect(),
    };
    match role.as_str() {
        "asker" => asker::run(&job),
        "attachments" => attachments::run(&job),
        "candidate" => candidate::run(&job),
        "clerk" => clerk::run(&job),
        "echo" => echo::run(&job),
        "filler" => filler::run(&job),
        "forker" => forker::run(&job),
        "guest" => guest::run(&job),
        "holder" => holder::run(&job),
        "idler" => idler::run(&job),
        "joiner" => joiner::run(&job),
        "keeper" => keeper::run(&job),
        "listener" => listener::run(&job, true),
        "loner" => listener::run(&job, false),
        "members" => members::run(&job),
        "namesake" => namesake::run(&job),
        "parker" => parker::run(&job),
        "poller" => poller::run(&job),
        "poor" => poor::run(&job),
        "prober" => prober::run(&job),
        "pump" => pump::run(&job),
        "relay" => relay::run(&job),
        "secretive" => secretive::run(&job),
        "scribbler" => scribbler::run(&job),
        "sink" => sink::run(&job),
        "source" => source::run(&job),
        "speaker" => speaker::run(&job),
        "squatter" => squatter::run(&job),
        "stranger" => stranger::run(&job),
        "survivor" => survivor::run(&job),
        "viewer" => viewer::run(&job),
        "weigher" => weigher::run(&job),
        role => panic!("there is no role {role}"),
    }
}

impl Job {
    fn options(&self, label: ipmb::Label) -> ipmb::Options {
        ipmb_tests::options(&self.directory, label)
    }

    fn argument(&self, index: usize) -> &str {
        &self.arguments[index]
    }

    fn number<N: std::str::FromStr<Err: std::fmt::Debug>>(&self, index: usize) -> N {
        self.argument(index).parse().expect("a number")
    }
}

/// Tells the test something.
fn say(line: impl std::fmt::Display) {
    println!("{line}");
    io::stdout().flush().expect("the test reads");
}

/// What the test says next; `None` when it has no more to say.
fn hear() -> Option<String> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end().to_owned()),
    }
}

/// Takes all the descriptors that the system allows.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).expect("what is allowed is granted");
}

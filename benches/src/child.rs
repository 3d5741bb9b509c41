//! One of the processes of a measurement. It prints lines: `ready`, `figure VALUE NAME`, `done` or
//! `failed WHY`; and reads one: `go`.

use crate::{
    Result, machine,
    peers::{self, Role, Seat},
    work::{Figures, Task, Work},
};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::{process::ExitCode, time::Duration};

/// Makes the program one. What follows is not for people.
pub(crate) const OPTION: &str = "--child";

/// What a child is started with.
pub(crate) struct Part<'a> {
    pub peer: &'a str,
    pub role: Role,
    pub index: usize,
    /// The core to stay on.
    pub core: Option<usize>,
    pub directory: &'a str,
    pub task: Task,
}

impl<'a> Part<'a> {
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let task = &self.task;
        vec![
            OPTION.to_owned(),
            self.peer.to_owned(),
            format!("{:?}", self.role),
            self.index.to_string(),
            self.core
                .map_or_else(|| "any".to_owned(), |it| it.to_string()),
            self.directory.to_owned(),
            task.work.name().to_owned(),
            task.size.to_string(),
            task.receivers.to_string(),
            task.senders.to_string(),
            task.warm_up.as_micros().to_string(),
            task.time.as_micros().to_string(),
        ]
    }

    fn from_arguments(arguments: &'a [String]) -> Result<Self> {
        let [
            peer,
            role,
            index,
            core,
            directory,
            work,
            size,
            receivers,
            senders,
            warm_up,
            time,
        ] = arguments
        else {
            return Err("that is for the benchmark itself".into());
        };
        let task = Task {
            work: Work::find(work).ok_or("no such work")?,
            size: size.parse()?,
            receivers: receivers.parse()?,
            senders: senders.parse()?,
            warm_up: Duration::from_micros(warm_up.parse()?),
            time: Duration::from_micros(time.parse()?),
        };
        let role = if role == "Receiver" {
            Role::Receiver
        } else {
            Role::Sender
        };
        Ok(Self {
            peer,
            role,
            index: index.parse()?,
            core: core.parse().ok(),
            directory,
            task,
        })
    }
}

pub(crate) fn main(arguments: &[String]) -> ExitCode {
    match play(arguments) {
        Ok(figures) => {
            for (name, value) in figures {
                println!("figure {value} {name}");
            }
            println!("done");
            // What this process holds may be all that keeps the others going.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("failed {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: &[String]) -> Result<Figures> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let part = Part::from_arguments(arguments)?;
    if let Some(core) = part.core {
        machine::pin(core)?;
    }
    let peer = peers::find(part.peer).ok_or("no such peer")?;
    let seat = Seat {
        role: part.role,
        index: part.index,
        receivers: part.task.receivers,
        senders: part.task.senders,
        size: part.task.size,
        directory: part.directory.into(),
        core: part.core,
        work: part.task.work,
        announces: true,
    };
    (peer.play)(&seat, &part.task)
}

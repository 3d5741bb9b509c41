//! Which measurements there are, and in which order.

use crate::{
    Result,
    machine::Cores,
    options::Options,
    peers::{self, Entry},
    processes,
    progress::Progress,
    report::{self, Tsv},
    work::{Task, Work},
};

/// What has come of one system in one kind of work with one size.
pub(crate) struct Outcome {
    pub peer: Entry,
    /// The figures of each repetition.
    pub repetitions: Vec<Vec<(String, f64)>>,
    /// Why there are no more.
    pub stopped: Option<String>,
}

/// Runs it all, prints tables, and says whether ours did its part.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let cores = if options.pin {
        Cores::all()
    } else {
        Cores::none()
    };
    let mut tsv = options.tsv.as_deref().map(Tsv::create).transpose()?;
    let tasks = tasks(options);
    let peers = peers(options);
    println!("{}", report::head(options, &cores));

    let mut progress = Progress::new(tasks.len() * peers.len() * options.repetitions);
    let mut well = true;
    for task in tasks {
        let mut outcomes: Vec<Outcome> = peers.iter().map(|it| Outcome::new(*it, &task)).collect();
        for repetition in 0..options.repetitions {
            // Not always the same one first: what comes after another may find a warmer machine.
            outcomes.rotate_left(1);
            for outcome in &mut outcomes {
                let (work, variant) = (task.work.name(), report::variant(&task));
                let name = outcome.peer.name;
                let repetition = repetition + 1;
                progress.step(&format!(
                    "{work}, {variant}, {name}, repetition {repetition}"
                ));
                outcome.repeat(task, &cores);
            }
        }
        outcomes.sort_by_key(|it| peers.iter().position(|peer| peer.name == it.peer.name));
        progress.clear();
        println!("{}", report::table(&task, &outcomes));
        if let Some(tsv) = &mut tsv {
            tsv.write(&task, &outcomes)?;
        }
        well &= outcomes
            .iter()
            .all(|it| it.peer.name != peers::OURS || it.stopped.is_none());
    }
    Ok(well)
}

impl Outcome {
    fn new(peer: Entry, task: &Task) -> Self {
        Self {
            peer,
            repetitions: Vec::new(),
            stopped: (peer.refuses)(task).map(str::to_owned),
        }
    }

    /// Measures once more, unless it has failed already.
    fn repeat(&mut self, task: Task, cores: &Cores) {
        if self.stopped.is_none() {
            match processes::measure(&self.peer, task, cores) {
                Ok(figures) => self.repetitions.push(figures),
                Err(error) => self.stopped = Some(error.to_string()),
            }
        }
    }
}

fn tasks(options: &Options) -> Vec<Task> {
    let mut tasks = Vec::new();
    for work in Work::ALL {
        if !options.works.is_empty() && !options.works.contains(&work) {
            continue;
        }
        let sizes = if options.sizes.is_empty() {
            work.sizes()
        } else {
            &options.sizes
        };
        for &size in sizes {
            tasks.extend(work.crews().iter().map(|&(receivers, senders)| Task {
                work,
                size,
                receivers,
                senders,
                warm_up: options.warm_up,
                time: options.time,
            }));
        }
    }
    tasks
}

fn peers(options: &Options) -> Vec<Entry> {
    let mut peers = peers::all();
    let asked = |name: &str| options.peers.iter().any(|it| it == name);
    peers.retain(|it| options.peers.is_empty() || it.name == peers::OURS || asked(it.name));
    peers
}

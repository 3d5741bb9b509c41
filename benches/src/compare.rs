//! Which measurements there are, and in which order.

use crate::{
    Result,
    machine::{Cores, Machine},
    options::Options,
    peers::{self, Entry},
    plot, processes,
    progress::Progress,
    report::{self, Tsv},
    statistics::Summary,
    work::{Task, Work},
};

/// Everything that was measured in a run.
pub(crate) struct Comparison {
    pub machine: Machine,
    pub tasks: Vec<(Task, Vec<Outcome>)>,
}

/// What has come of one system in one task.
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
    let mut comparison = Comparison {
        machine: Machine::look(&cores),
        tasks: Vec::new(),
    };
    println!("{}", report::head(options, &comparison.machine));

    let tasks = plan(options);
    let steps = tasks
        .iter()
        .map(|it| it.1.len() * options.repetitions_of(it.0.work));
    let mut progress = Progress::new(steps.sum());
    for (task, mut outcomes) in tasks {
        let repetitions = options.repetitions_of(task.work);
        for repetition in 1..=repetitions {
            // Not always the same one first: what comes after another may find a warmer machine.
            outcomes.rotate_left(1);
            for outcome in &mut outcomes {
                let (work, variant) = (task.work.name(), report::variant(&task));
                let name = outcome.peer.name;
                progress.step(&format!(
                    "{work}, {variant}, {name}, repetition {repetition}"
                ));
                outcome.repeat(task, &cores);
            }
        }
        let turns = repetitions % outcomes.len().max(1);
        outcomes.rotate_right(turns);
        progress.clear();
        println!("{}", report::table(&task, &outcomes));
        if let Some(tsv) = &mut tsv {
            tsv.write(&task, &outcomes)?;
        }
        comparison.tasks.push((task, outcomes));
    }
    if let Some(path) = &options.json {
        report::write_json(path, options, &comparison)?;
    }
    if let Some(directory) = &options.plots {
        plot::write(directory, &comparison)?;
    }
    let ours = |it: &&Outcome| it.peer.name == peers::OURS;
    let all = comparison.tasks.iter().flat_map(|it| &it.1);
    Ok(all.filter(ours).all(|it| it.stopped.is_none()))
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

    /// The figures of this name.
    pub(crate) fn summary(&self, figure: &str) -> Option<Summary> {
        Summary::of(&self.values(figure))
    }

    /// One for each repetition.
    pub(crate) fn values(&self, figure: &str) -> Vec<f64> {
        let all = self.repetitions.iter().flatten();
        all.filter(|it| it.0 == figure).map(|it| it.1).collect()
    }

    /// The names of all figures.
    pub(crate) fn figures(&self) -> impl Iterator<Item = &str> {
        let first = self.repetitions.first();
        first.into_iter().flatten().map(|it| it.0.as_str())
    }
}

/// All tasks, and who takes part.
fn plan(options: &Options) -> Vec<(Task, Vec<Outcome>)> {
    let peers = peers(options);
    let mut tasks = Vec::new();
    for work in Work::ALL {
        if !options.works.is_empty() && !options.works.contains(&work) {
            continue;
        }
        let about = work.about();
        let (sizes, crews) = if options.quick {
            (about.quick_sizes, about.quick_crews)
        } else {
            (about.sizes, about.crews)
        };
        let sizes = match options.sizes.as_slice() {
            [] => sizes,
            asked => asked,
        };
        for &size in sizes {
            for &(receivers, senders) in crews {
                let task = Task {
                    work,
                    size,
                    receivers,
                    senders,
                    warm_up: options.warm_up,
                    time: options.time.max(about.least_time),
                };
                let peers = peers.iter().filter(|it| (it.takes_part)(&task));
                let outcomes: Vec<_> = peers.map(|it| Outcome::new(*it, &task)).collect();
                if !outcomes.is_empty() {
                    tasks.push((task, outcomes));
                }
            }
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

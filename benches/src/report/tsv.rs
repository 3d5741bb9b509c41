//! Every figure in a line of its own.

use crate::{Result, compare::Outcome, work::Task};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

pub(crate) struct Tsv(BufWriter<File>);

impl Tsv {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(
            file,
            "work\tbytes\treceivers\tsenders\tpeer\trepetition\tfigure\tvalue"
        )?;
        Ok(Self(file))
    }

    pub(crate) fn write(&mut self, task: &Task, outcomes: &[Outcome]) -> Result<()> {
        let Task {
            size,
            receivers,
            senders,
            ..
        } = task;
        let work = task.work.name();
        for outcome in outcomes {
            let name = outcome.peer.name;
            for (index, figures) in outcome.repetitions.iter().enumerate() {
                let repetition = index + 1;
                for (figure, value) in figures {
                    writeln!(
                        self.0,
                        "{work}\t{size}\t{receivers}\t{senders}\t{name}\t{repetition}\t{figure}\t{value}"
                    )?;
                }
            }
        }
        Ok(self.0.flush()?)
    }
}

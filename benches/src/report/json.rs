//! The whole comparison for other programs.

use crate::{
    Result,
    compare::{Comparison, Outcome},
    options::Options,
};
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

pub(crate) fn write_json(path: &Path, options: &Options, comparison: &Comparison) -> Result<()> {
    let tasks: Vec<Value> = comparison
        .tasks
        .iter()
        .map(|(task, outcomes)| {
            let about = task.work.about();
            json!({
                "work": about.name,
                "title": about.title,
                "bytes": task.size,
                "receivers": task.receivers,
                "senders": task.senders,
                "headline": about.headline,
                "more_is_better": about.more_is_better,
                "systems": outcomes.iter().map(system).collect::<Vec<_>>(),
            })
        })
        .collect();
    let machine = &comparison.machine;
    let all = json!({
        "machine": {
            "processor": machine.processor,
            "cores": machine.cores,
            "kernel": machine.kernel,
            "pinning": machine.pinning,
            "load": machine.load,
        },
        "repetitions": options.repetitions,
        "milliseconds": options.time.as_millis() as u64,
        "warm_up_milliseconds": options.warm_up.as_millis() as u64,
        "tasks": tasks,
    });
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer_pretty(&mut file, &all)?;
    Ok(file.flush()?)
}

fn system(outcome: &Outcome) -> Value {
    let figures: Map<String, Value> = outcome
        .figures()
        .filter_map(|name| {
            let it = outcome.summary(name)?;
            let values = outcome.values(name);
            let summary =
                json!({ "median": it.median, "min": it.min, "max": it.max, "values": values });
            Some((name.to_owned(), summary))
        })
        .collect();
    json!({
        "name": outcome.peer.name,
        "about": outcome.peer.about,
        "figures": figures,
        "stopped": outcome.stopped,
    })
}

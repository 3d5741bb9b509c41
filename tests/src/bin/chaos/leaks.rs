//! What is left behind.

use ipmb_tests::{
    chaos::ledger::{Fault, Kind},
    proc,
};
use std::{collections::BTreeSet, fs, path::Path};

/// What a process may have open while it is on the bus: what it starts with, what an endpoint takes,
/// and what the way to and from each other endpoint takes: two ends of a channel, and in each
/// direction a doorbell, a page, a ready set, a lane and its room's doorbell, and a few for memory
/// regions and loans that are kept for the next time.
const FIXED: usize = 120;
const PER_PEER: usize = 40;

/// Memory files that are no messages' attachments.
const ATTACHED: &str = "/memfd:chaos-object";

/// Looks at somebody who is on a bus with so many others, who have nothing under way. Also returns
/// how many descriptors it has.
///
/// `lossy`: it has messages dropped. Their objects came before them, and stay until the next message with
/// objects comes from there, or the sender is gone.
pub(super) fn look(pid: u32, lossy: bool, others: usize) -> (Vec<Fault>, usize) {
    let mut faults = Vec::new();
    let mut links = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        links.extend(fs::read_link(entry.path()).ok());
    }
    let attached = links
        .iter()
        .filter(|link| link.to_string_lossy().starts_with(ATTACHED));
    let attached = attached.count();
    if attached > 0 && !lossy {
        faults.push(leaked(format!(
            "pid {pid} has {attached} objects of messages open"
        )));
    }
    let most = FIXED + PER_PEER * others;
    if links.len() > most {
        let count = links.len();
        faults.push(leaked(format!(
            "pid {pid} has {count} descriptors, more than {most}"
        )));
    }
    (faults, links.len())
}

/// Looks for what is left of a bus on which nobody is, and of these memory files.
pub(super) fn look_behind(directory: &Path, files: &BTreeSet<u64>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let processes = proc::started_with(&directory.to_string_lossy());
    if !processes.is_empty() {
        faults.push(leaked(format!("processes {processes:?} are left")));
    }
    let left: Vec<_> = proc::memory_files(proc::all())
        .intersection(files)
        .copied()
        .collect();
    if !left.is_empty() {
        faults.push(leaked(format!("memory files {left:?} are left")));
    }
    let names: Vec<_> = (fs::read_dir(directory).into_iter().flatten().flatten())
        .map(|entry| (entry.file_name(), entry.metadata().map_or(0, |it| it.len())))
        .collect();
    if names.len() > 2 || names.iter().any(|(_, len)| *len > 0) {
        faults.push(leaked(format!(
            "{names:?} are left in the runtime directory"
        )));
    }
    faults
}

fn leaked(text: String) -> Fault {
    Fault::said(Kind::Leaked, text)
}

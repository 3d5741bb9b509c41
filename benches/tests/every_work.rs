//! Every work can be done, by processes as the benchmark starts them, and leaves its files.

use std::{fs, process::Command};

#[test]
fn every_work_is_done_and_leaves_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let run = Command::new(env!("CARGO_BIN_EXE_ipmb-bench"))
        .args("--quick --repetitions 1 --time 1 --peer ipmb --peer seqpacket".split(' '))
        .args(["--tsv", &path("tsv"), "--json", &path("json")])
        .args(["--plots", &path("plots")])
        .output()
        .unwrap();
    // It fails if ours could not do something.
    let tables = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{tables}");

    let tsv = fs::read_to_string(path("tsv")).unwrap();
    let works: Vec<_> = tsv.lines().filter_map(|it| it.split('\t').next()).collect();
    for work in [
        "one-way",
        "many-to-many",
        "objects",
        "failover",
        "footprint",
    ] {
        assert!(works.contains(&work), "{work}: {tables}");
    }
    let json: serde_json::Value = serde_json::from_slice(&fs::read(path("json")).unwrap()).unwrap();
    let figures = &json["tasks"][0]["systems"][0]["figures"];
    let rate = figures["messages/s"]["median"].as_f64();
    assert!(rate.is_some_and(|it| it > 0.0), "{json}");
    for plot in ["one-way.svg", "round-trip.svg", "fan-out.svg"] {
        let plot = fs::read_to_string(directory.path().join("plots").join(plot)).unwrap();
        assert!(
            plot.starts_with("<svg") && plot.contains(">ipmb</text>"),
            "{plot}"
        );
    }
}

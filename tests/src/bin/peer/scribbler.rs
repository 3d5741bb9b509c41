//! `scribbler LABEL…`: a member that has lost its mind. It talks to all that have one of the labels, so that it
//! shares memory with them; told so, it writes whatever it likes over all memory that it shares and may write
//! to, until it is killed. Says `joined`, `talked`, and `scribbling BYTES` when it has been everywhere once.

use super::{Job, hear, say};
use ipmb::{Message, Selector, label};
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
};

const PAGE: usize = 4096;

pub(super) fn run(job: &Job) {
    let options = job
        .options(label!("scribbler"))
        .with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<String, String>(options, None).expect("joins");
    say("joined");
    hear();
    for label in &job.arguments {
        let noise = Message::new(Selector::unicast(label.as_str()), "noise".to_owned());
        sender.send(noise).expect("sends");
    }
    say("talked");
    hear();
    let memory = OpenOptions::new().write(true).open("/proc/self/mem");
    let memory = memory.expect("it is our own");
    let mut seed: u64 = 12;
    for round in 0_u64.. {
        let mut written = 0;
        for (from, to) in shared() {
            for at in (from..to).step_by(PAGE) {
                let page: Vec<u8> = (0..PAGE).map(|_| noise(&mut seed, round)).collect();
                written += memory.write_at(&page, at).unwrap_or(0);
            }
        }
        if round == 0 {
            say(format_args!("scribbling {written}"));
        }
    }
}

/// What is mapped for writing, and shared.
fn shared() -> Vec<(u64, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").expect("it lives");
    let of = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        (rest.starts_with("rw-s") && rest.contains("/memfd:"))
            .then(|| Some((number(from)?, number(to)?)))?
    };
    maps.lines().filter_map(of).collect()
}

/// Anything; all ones and small numbers more often than not.
fn noise(seed: &mut u64, round: u64) -> u8 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let byte = (*seed >> 56) as u8;
    match round % 4 {
        0 => byte,
        1 => 0xff,
        2 => byte & 1,
        _ => byte & 0x81,
    }
}

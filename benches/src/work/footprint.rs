//! What an endpoint and a lane cost in memory and descriptors.
//!
//! Memory is the proportional set size (`smaps_rollup`) without that of files: a page that two
//! processes map counts half in each, so that sums are what the machine has given. What the kernel
//! keeps for sockets and descriptors is not in it.

use super::{About, Figures, Task, meet};
use crate::{
    Result,
    message::{Checker, Phase, Stamper},
    peers::{Offer, Peer, Role, Seat},
};
use std::{fs, thread, time::Duration};

const ENDPOINT_MEMORY: &str = "KiB/endpoint";
const ENDPOINT_DESCRIPTORS: &str = "descriptors/endpoint";
const LANE_MEMORY: &str = "KiB/lane";
const LANE_DESCRIPTORS: &str = "descriptors/lane";

pub(super) const ABOUT: About = About {
    name: "footprint",
    title: "footprint: memory (proportional, without files) and descriptors; of a lane, both sides'",
    crews: &[(8, 1)],
    quick_crews: &[(8, 1)],
    headline: ENDPOINT_MEMORY,
    details: &[ENDPOINT_DESCRIPTORS, LANE_MEMORY, LANE_DESCRIPTORS],
    needs: Some(Offer::Join),
    ..About::BASE
};

/// Endpoints that one process joins with, beyond its first.
const MORE: usize = 8;
/// For what others do at a first message to come to rest. Nothing waits for it but the measurement.
const REST: Duration = Duration::from_millis(100);

pub(super) fn play<P: Peer>(seat: &Seat, task: &Task) -> Result<Figures> {
    let mut peer = meet::<P>(seat)?;
    let before = Usage::now()?;
    match seat.role {
        Role::Receiver => {
            let mut checker = Checker::new(task.size, 1);
            while checker.check(peer.receive()?.as_ref())? != Phase::Last {}
            // One lane in each receiver.
            Ok(before.until_now()?.per_lane(task.receivers))
        }
        Role::Sender => {
            let mut stamper = Stamper::new(task.size, 0);
            peer.send(stamper.stamp(Phase::WarmUp))?;
            thread::sleep(REST);
            let mut figures = before.until_now()?.per_lane(task.receivers);
            peer.send(stamper.stamp(Phase::Last))?;
            thread::sleep(REST);

            let seat = seat.once_more();
            let before = Usage::now()?;
            let more: Result<Vec<P>> = (0..MORE).map(|_| P::connect(&seat)).collect();
            let used = before.until_now()?;
            figures.push((ENDPOINT_MEMORY, used.kib / MORE as f64));
            figures.push((ENDPOINT_DESCRIPTORS, used.descriptors / MORE as f64));
            // What they hold goes with the process, not one after the other.
            std::mem::forget((peer, more?));
            Ok(figures)
        }
    }
}

/// What a process uses, or has come to use.
struct Usage {
    kib: f64,
    descriptors: f64,
}

impl Usage {
    fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/self/smaps_rollup")?;
        let kib = |name: &str| -> Option<f64> {
            let line = text.lines().find_map(|it| it.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let (anonymous, shared) = (kib("Pss_Anon:"), kib("Pss_Shmem:"));
        Ok(Self {
            kib: anonymous
                .zip(shared)
                .map(|(a, b)| a + b)
                .ok_or("the kernel tells no Pss_Shmem")?,
            descriptors: fs::read_dir("/proc/self/fd")?.count() as f64,
        })
    }

    fn until_now(&self) -> Result<Self> {
        let now = Self::now()?;
        Ok(Self {
            kib: now.kib - self.kib,
            descriptors: now.descriptors - self.descriptors,
        })
    }

    fn per_lane(&self, lanes: usize) -> Figures {
        let lanes = lanes as f64;
        vec![
            (LANE_MEMORY, self.kib / lanes),
            (LANE_DESCRIPTORS, self.descriptors / lanes),
        ]
    }
}

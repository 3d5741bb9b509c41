//! Which cases there are.

use ipmb_sys::faults::{Call, Fault, Plan};

use crate::case::{Case, name_of};

/// As many occurrences of one call with one error are tried at most.
const MOST: u32 = 48;
const SAMPLE: u32 = 3;

/// The cases of a scenario in which there are so many calls of each kind.
pub fn cases(scenario: &'static str, calls: &[u32], full: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (&call, &count) in Call::ALL.iter().zip(calls) {
        for &(_, fault) in call.faults() {
            let mut add = |nth, from_then_on| {
                let plan = Plan {
                    call,
                    fault,
                    nth,
                    from_then_on,
                };
                cases.push(Case { scenario, plan });
            };
            for nth in occurrences(count, if full { MOST } else { SAMPLE }) {
                add(nth, false);
            }
            if lasts(call, fault) {
                for nth in occurrences(count, if full { 3 } else { 1 }) {
                    add(nth, true);
                }
            }
        }
    }
    cases
}

/// All of them, or so many of them: the first, the last, and what is between at even distances.
fn occurrences(count: u32, most: u32) -> Vec<u32> {
    match (count, most) {
        (0, _) => Vec::new(),
        (_, 1) => vec![1],
        _ if count <= most => (1..=count).collect(),
        _ => (0..most)
            .map(|index| 1 + index * (count - 1) / (most - 1))
            .collect(),
    }
}

/// Whether it can be that all calls from then on say so.
fn lasts(call: Call, fault: Fault) -> bool {
    match name_of(call, fault) {
        "EMFILE" | "ENFILE" | "ENOMEM" | "ENOSPC" | "EDQUOT" | "ENOBUFS" | "ETOOMANYREFS"
        | "ENOSYS" | "EOPNOTSUPP" | "Short" => true,
        "EAGAIN" => matches!(call, Call::Sendmsg | Call::Connect | Call::Clone),
        "EPERM" => call == Call::Membarrier,
        _ => false,
    }
}

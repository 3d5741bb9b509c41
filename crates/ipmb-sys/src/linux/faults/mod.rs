//! Makes chosen system calls fail, in tests: `cargo xtask faults`.
//!
//! Nothing here is compiled without the feature `faults`, and that is for tests only. All threads of
//! the process are counted together, so that a fault can hit the driver as well as who calls.
//!
//! The atomics are an exception to the rule that they stand in `ipmb-lane` alone: they count calls, and
//! nothing is synchronised by them.

mod table;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use rustix::io::Errno;
pub use table::{Call, Fault};

/// What is to fail, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Calls of this kind.
    pub call: Call,
    /// What it says, or that it does less than it was asked for.
    pub fault: Fault,
    /// Which of them: the first is 1.
    pub nth: u32,
    /// And all that follow.
    pub from_then_on: bool,
}

/// What has happened since [`start`].
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many calls of each kind there were, in the order of [`Call::ALL`].
    pub calls: Vec<u32>,
    /// How often one was made to fail, by a thread of the library's own.
    pub hit_own_thread: u32,
    /// As above, by a thread of the program's.
    pub hit_caller: u32,
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static COUNTS: [AtomicU32; Call::ALL.len()] = [const { AtomicU32::new(0) }; Call::ALL.len()];
static HITS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

/// Counts from now on, and lets calls fail as planned.
pub fn start(plan: Option<Plan>) {
    stop();
    *plan_now() = plan;
    COUNTS
        .iter()
        .chain(&HITS)
        .for_each(|count| count.store(0, SeqCst));
    ACTIVE.store(true, SeqCst);
}

/// Lets all calls succeed again.
pub fn stop() -> Seen {
    ACTIVE.store(false, SeqCst);
    seen()
}

/// What has happened so far.
pub fn seen() -> Seen {
    Seen {
        calls: COUNTS.iter().map(|count| count.load(SeqCst)).collect(),
        hit_own_thread: HITS[0].load(SeqCst),
        hit_caller: HITS[1].load(SeqCst),
    }
}

/// Whether a call that is about to be made is to fail, or (`true`) to be short.
pub(super) fn strike(call: Call) -> Result<bool, Errno> {
    if !ACTIVE.load(SeqCst) {
        return Ok(false);
    }
    let number = COUNTS[call as usize].fetch_add(1, SeqCst) + 1;
    let Some(plan) = *plan_now() else {
        return Ok(false);
    };
    let hit = plan.call == call
        && (number == plan.nth || (plan.from_then_on && number > plan.nth))
        && ACTIVE.load(SeqCst);
    if !hit {
        return Ok(false);
    }
    let own = std::thread::current()
        .name()
        .is_some_and(|name| name.starts_with("ipmb"));
    HITS[usize::from(!own)].fetch_add(1, SeqCst);
    match plan.fault {
        Fault::Short => Ok(true),
        Fault::Error(error) => Err(Errno::from_raw_os_error(error)),
    }
}

fn plan_now() -> std::sync::MutexGuard<'static, Option<Plan>> {
    PLAN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

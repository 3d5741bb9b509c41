//! What is tried under faults.

mod attached;
mod bus;
mod plain;

use crate::stage::Stage;

/// One thing to try.
pub struct Scenario {
    pub name: &'static str,
    /// Whether it has to be the first thing that a process does.
    pub fresh: bool,
    pub play: fn(&Stage),
}

const fn usual(name: &'static str, play: fn(&Stage)) -> Scenario {
    Scenario {
        name,
        fresh: false,
        play,
    }
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "start",
        fresh: true,
        play: bus::join_as_first,
    },
    usual("join-first", bus::join_as_first),
    usual("join-second", bus::join_as_second),
    usual("leave", bus::leave),
    usual("leave-controller", bus::leave_as_controller),
    usual("failover", bus::fail_over),
    usual("contact", plain::first_contact),
    usual("small", plain::small),
    usual("large", plain::large),
    usual("receive", plain::receive),
    usual("parked", plain::parked),
    usual("parked-region", attached::parked_region),
    usual("multicast", plain::multicast),
    usual("request", plain::request),
    usual("objects", attached::objects),
    usual("region", attached::region),
    usual("registry", attached::registry),
    usual("loan", attached::loan),
];

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|it| it.name == name)
}

//! The kinds of work.

use super::{attachments, failover, first_contact, footprint, join, round_trip, stalled, stream};
use crate::peers::Offer;
use std::time::Duration;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    OneWay,
    RoundTrip,
    RoundTripAsleep,
    Request,
    FanOut,
    FanIn,
    ManyToMany,
    Loans,
    RegionsFresh,
    RegionsRecycled,
    Objects,
    Join,
    FirstContact,
    Failover,
    Stalled,
    Footprint,
}

/// What is to be known of a kind of work.
pub(crate) struct About {
    /// On the command line.
    pub name: &'static str,
    /// Above a table.
    pub title: &'static str,
    /// The sizes of messages, in bytes, that are measured if nobody asks for others.
    pub sizes: &'static [usize],
    /// Which of them, if it has to be quick.
    pub quick_sizes: &'static [usize],
    /// How many receivers and senders there are.
    pub crews: &'static [Crew],
    /// Which of them, if it has to be quick.
    pub quick_crews: &'static [Crew],
    /// The figure by which systems are compared.
    pub headline: &'static str,
    pub more_is_better: bool,
    /// The other figures that the table shows.
    pub details: &'static [&'static str],
    /// What a system has to offer for it.
    pub needs: Option<Offer>,
    /// What it takes at least.
    pub least_time: Duration,
}

/// How many receivers, and how many senders.
pub(crate) type Crew = (usize, usize);

pub(super) const KIB: usize = 1 << 10;
pub(super) const MIB: usize = 1 << 20;

impl About {
    /// Two processes, one size, and nothing special.
    pub(super) const BASE: Self = Self {
        name: "",
        title: "",
        sizes: &[64],
        quick_sizes: &[64],
        crews: &[(1, 1)],
        quick_crews: &[(1, 1)],
        headline: "",
        more_is_better: false,
        details: &[],
        needs: None,
        least_time: Duration::ZERO,
    };
}

impl Work {
    pub(crate) const ALL: [Self; 16] = [
        Self::OneWay,
        Self::RoundTrip,
        Self::RoundTripAsleep,
        Self::Request,
        Self::FanOut,
        Self::FanIn,
        Self::ManyToMany,
        Self::Loans,
        Self::RegionsFresh,
        Self::RegionsRecycled,
        Self::Objects,
        Self::Join,
        Self::FirstContact,
        Self::Failover,
        Self::Stalled,
        Self::Footprint,
    ];

    pub(crate) fn about(self) -> &'static About {
        match self {
            Self::OneWay => &stream::ONE_WAY,
            Self::RoundTrip => &round_trip::AWAKE,
            Self::RoundTripAsleep => &round_trip::ASLEEP,
            Self::Request => &round_trip::REQUEST,
            Self::FanOut => &stream::FAN_OUT,
            Self::FanIn => &stream::FAN_IN,
            Self::ManyToMany => &stream::MANY_TO_MANY,
            Self::Loans => &attachments::LOANS,
            Self::RegionsFresh => &attachments::REGIONS_FRESH,
            Self::RegionsRecycled => &attachments::REGIONS_RECYCLED,
            Self::Objects => &attachments::OBJECTS,
            Self::Join => &join::ABOUT,
            Self::FirstContact => &first_contact::ABOUT,
            Self::Failover => &failover::ABOUT,
            Self::Stalled => &stalled::ABOUT,
            Self::Footprint => &footprint::ABOUT,
        }
    }

    /// The one of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        self.about().name
    }

    /// Makes one figure of those of two processes.
    pub(crate) fn combine(self, name: &str, a: f64, b: f64) -> f64 {
        if name == stream::FAIRNESS {
            a.min(b)
        } else {
            a + b
        }
    }

    /// Which receiver is killed on the way.
    pub(crate) fn victim(self) -> Option<usize> {
        (self == Self::Failover).then_some(failover::VICTIM)
    }
}

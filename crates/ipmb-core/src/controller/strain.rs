//! Quotas that are nearly used up. Who has a share of them is refused when there is no more; that it comes to this
//! only the controller can see.

use std::{collections::BTreeSet, fmt};

use super::{Controller, Output};
use crate::{ParkUsage, Parkable, Quota, Whose};

/// A quota of which three quarters are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strain {
    /// Of what.
    pub what: Strained,
    /// The user whose share it is; `None` if it is everybody's.
    pub uid: Option<u32>,
    /// How much of it.
    pub quota: Quota,
}

/// What there can be too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Strained {
    /// Connections that have not registered yet.
    Connections,
    /// Endpoints on the bus.
    Endpoints,
    /// The directory, in bytes.
    Directory,
    /// Parked messages, in bytes.
    ParkedBytes,
    /// Objects of parked messages.
    ParkedObjects,
    /// Operators and operands in the selectors of parked messages.
    ParkedOperands,
}

impl fmt::Display for Strained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "connections that have not registered",
            Self::Endpoints => "endpoints",
            Self::Directory => "bytes of the directory",
            Self::ParkedBytes => "parked bytes",
            Self::ParkedObjects => "parked objects",
            Self::ParkedOperands => "operands of parked selectors",
        })
    }
}

/// What was told, and has not been below half since.
#[derive(Debug, Default)]
pub(super) struct Strains(BTreeSet<(Strained, Option<u32>)>);

impl Strains {
    fn look(&mut self, what: Strained, uid: Option<u32>, quota: Quota) -> Option<Output> {
        let Quota { used, limit } = quota;
        if used >= limit - limit / 4 {
            let is_new = self.0.insert((what, uid));
            return is_new.then_some(Output::Warn(Strain { what, uid, quota }));
        }
        if used < limit / 2 && !self.0.is_empty() {
            self.0.remove(&(what, uid));
        }
        None
    }
}

impl Controller {
    /// One more has connected.
    pub(super) fn tell_strain_of_connections(&mut self, out: &mut Vec<Output>) {
        let (used, limit) = (
            self.connections.pending(),
            self.settings.quotas.pending_handshakes,
        );
        let quota = Quota::new(used as u64, limit as u64);
        out.extend(self.strains.look(Strained::Connections, None, quota));
    }

    /// A user has one more endpoint.
    pub(super) fn tell_strain_of_the_directory(&mut self, uid: u32, out: &mut Vec<Output>) {
        let quotas = &self.settings.quotas;
        let quota = |used: usize, limit: usize| Quota::new(used as u64, limit as u64);
        let all = quota(self.directory.len(), quotas.members);
        let of_user = quota(self.members_of(uid), quotas.members_per_user);
        let (bytes, bytes_of_user) = (
            self.directory_of(Whose::Bus, uid),
            self.directory_of(Whose::User, uid),
        );
        let (endpoints, directory) = (Strained::Endpoints, Strained::Directory);
        out.extend(self.strains.look(endpoints, None, all));
        out.extend(self.strains.look(endpoints, Some(uid), of_user));
        out.extend(self.strains.look(directory, None, bytes));
        out.extend(self.strains.look(directory, Some(uid), bytes_of_user));
    }

    /// A user has parked one more message.
    pub(super) fn tell_strain_of_parking(&mut self, uid: u32, out: &mut Vec<Output>) {
        let quotas = &self.settings.quotas;
        let (bus, user) = (quotas.parked_by(Whose::Bus), quotas.parked_by(Whose::User));
        let (total, of_user) = (self.parking.total(), self.parking.usage_of_user(uid));
        for (what, of) in [
            (Strained::ParkedBytes, Parkable::Bytes),
            (Strained::ParkedObjects, Parkable::Objects),
            (Strained::ParkedOperands, Parkable::Operands),
        ] {
            let quota = |usage: ParkUsage, limits| usage.quota(of, limits);
            out.extend(self.strains.look(what, None, quota(total, &bus)));
            out.extend(self.strains.look(what, Some(uid), quota(of_user, &user)));
        }
    }
}

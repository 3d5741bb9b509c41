//! What one sender has us keep.

use super::{Source, most_regions, packets::MOST_LANES};
use crate::{
    Quota, SenderUsage,
    peer::{MOST_OBJECTS, most_lanes},
};
use ipmb_lane::{Consumer, MOST_LOANS};

impl Source {
    /// What it has us keep, and how much it may; a message may have so many bytes.
    pub(in crate::inbox) fn usage(&self, message_limit: u64) -> SenderUsage {
        let quota = |used: usize, limit: usize| Quota::new(used as u64, limit as u64);
        let collected = self.lanes.iter().map(Consumer::collected).sum::<usize>();
        SenderUsage {
            pid: self.pid,
            unread: self.lanes.iter().map(Consumer::unread).sum(),
            mapped: self.mapped(),
            lanes: quota(self.lanes.len(), MOST_LANES),
            message: Quota::new(collected as u64, message_limit),
            objects: quota(self.waiting, MOST_OBJECTS),
            regions: quota(self.regions.len(), most_regions()),
            loans: quota(self.loans.kept(), MOST_LOANS),
        }
    }

    /// The lanes that it has us map, in bytes.
    pub(super) fn mapped(&self) -> Quota {
        let used = self.lanes.iter().map(Consumer::capacity).sum();
        Quota::new(used, most_lanes(self.largest_lane as u64))
    }
}

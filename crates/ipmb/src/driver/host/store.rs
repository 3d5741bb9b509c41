//! The objects that a controller holds for the members.

use ipmb_core::{Attachment, EndpointId, ParkId, Side};
use ipmb_sys::{Channel, OwnedObject, duplicate};
use std::{collections::HashMap, io};

#[derive(Default)]
pub(super) struct Store {
    endpoints: HashMap<EndpointId, [OwnedObject; 3]>,
    parked: HashMap<ParkId, Parked>,
    pairs: HashMap<(u64, Side), Channel>,
}

struct Parked {
    body: Option<OwnedObject>,
    objects: Vec<OwnedObject>,
}

impl Store {
    pub(super) fn store_endpoint(
        &mut self,
        id: EndpointId,
        objects: &[OwnedObject],
    ) -> io::Result<()> {
        let [doorbell, page, ready, ..] = objects else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let kept = [duplicate(doorbell)?, duplicate(page)?, duplicate(ready)?];
        self.endpoints.insert(id, kept);
        Ok(())
    }

    pub(super) fn drop_endpoint(&mut self, id: EndpointId) {
        self.endpoints.remove(&id);
    }

    pub(super) fn store_parked(&mut self, id: ParkId, body: bool, objects: &mut Vec<OwnedObject>) {
        let mut objects = std::mem::take(objects);
        let body = (body && !objects.is_empty()).then(|| objects.remove(0));
        self.parked.insert(id, Parked { body, objects });
    }

    pub(super) fn drop_parked(&mut self, id: ParkId) {
        self.parked.remove(&id);
    }

    /// Adds what is to be attached to `objects`.
    pub(super) fn collect(
        &mut self,
        attachment: Attachment,
        objects: &mut Vec<OwnedObject>,
    ) -> io::Result<()> {
        match attachment {
            Attachment::Doorbell(id) => objects.push(self.of_endpoint(id, 0)?),
            Attachment::InboxPage(id) => objects.push(self.of_endpoint(id, 1)?),
            Attachment::ReadySet(id) => objects.push(self.of_endpoint(id, 2)?),
            Attachment::ParkedBody(id) => {
                let parked = self.parked.get(&id).and_then(|parked| parked.body.as_ref());
                objects.push(duplicate(parked.ok_or(io::ErrorKind::NotFound)?)?);
            }
            Attachment::ParkedObjects(id) => {
                for object in self
                    .parked
                    .get(&id)
                    .into_iter()
                    .flat_map(|parked| &parked.objects)
                {
                    objects.push(duplicate(object)?);
                }
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }
        Ok(())
    }

    fn of_endpoint(&self, id: EndpointId, which: usize) -> io::Result<OwnedObject> {
        let objects = self.endpoints.get(&id).ok_or(io::ErrorKind::NotFound)?;
        duplicate(&objects[which])
    }

    /// Makes the pairs of which ends are to be attached, if they are not made yet.
    pub(super) fn prepare_pairs(&mut self, attach: &[Attachment]) -> io::Result<()> {
        for &attachment in attach {
            if let Attachment::PairEnd { pair, side } = attachment
                && !self.pairs.contains_key(&(pair, side))
            {
                let (asker, peer) = Channel::pair()?;
                self.pairs.insert((pair, Side::Asker), asker);
                self.pairs.insert((pair, Side::Peer), peer);
            }
        }
        Ok(())
    }

    /// Gives up the pairs of which ends were to be attached: whoever has one sees the other close.
    pub(super) fn drop_pairs(&mut self, attach: &[Attachment]) {
        for attachment in attach {
            if let Attachment::PairEnd { pair, .. } = attachment {
                self.pairs.remove(&(*pair, Side::Asker));
                self.pairs.remove(&(*pair, Side::Peer));
            }
        }
    }

    /// Puts the ends of pairs where they belong among the objects.
    pub(super) fn take_pair_ends(&mut self, attach: &[Attachment], objects: &mut Vec<OwnedObject>) {
        for (index, &attachment) in attach.iter().enumerate() {
            if let Attachment::PairEnd { pair, side } = attachment
                && let Some(end) = self.pairs.remove(&(pair, side))
            {
                objects.insert(index.min(objects.len()), end.into());
            }
        }
    }
}

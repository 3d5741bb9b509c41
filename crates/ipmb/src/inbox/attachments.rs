//! From the bytes and objects that came in to a message.

use super::source::PullError;
use crate::{MemoryRegion, Object, loan::Views, region::Block};
use ipmb_core::{
    Correlation, EndpointId, FrameError, LaneMessage, MessageHeader, ParkId, RegionId, TypeId,
};
use ipmb_sys::{OwnedObject, is_lack, is_out_of_descriptors};
use std::{collections::HashMap, io, ops::Range, sync::Arc};

/// A message, but for its payload, which lies in a buffer.
pub(crate) struct Incoming {
    pub(crate) type_id: TypeId,
    /// Where the payload lies in the bytes that came in.
    pub(crate) payload: Range<usize>,
    pub(crate) objects: Vec<Object>,
    pub(crate) regions: Vec<MemoryRegion>,
    /// What stands in the payload as a reference.
    pub(crate) views: Views,
    /// Boxed, as it is rare, and this is moved about.
    pub(crate) parked: Option<Box<ParkId>>,
    pub(crate) from: EndpointId,
    pub(crate) correlation: Option<Correlation>,
}

impl Incoming {
    /// A message without attachments.
    #[inline]
    pub(super) fn plain(from: EndpointId, type_id: TypeId, payload: Range<usize>) -> Self {
        Self {
            type_id,
            payload,
            objects: Vec::new(),
            regions: Vec::new(),
            views: Views::new(),
            parked: None,
            from,
            correlation: None,
        }
    }
}

/// A message that was parked with the controller.
pub(crate) struct Delivery {
    pub(crate) id: ParkId,
    /// The bytes as they would have stood in a lane.
    pub(crate) body: Vec<u8>,
    objects: Vec<OwnedObject>,
    /// What came along, once it was looked at, and those regions that are open.
    attached: Option<Attached>,
    regions: HashMap<RegionId, Arc<Block>>,
}

impl Delivery {
    pub(crate) fn new(id: ParkId, body: Vec<u8>, objects: Vec<OwnedObject>) -> Self {
        Self {
            id,
            body,
            objects,
            attached: None,
            regions: HashMap::new(),
        }
    }

    /// Without free descriptors or memory, it can be tried again.
    pub(super) fn open(&mut self) -> Result<Incoming, PullError> {
        let (header, payload) = match Frame::parse(&self.body)? {
            Frame::Message {
                header, payload, ..
            } => (header, payload),
            Frame::Forget(_) | Frame::Declare(_) => return Err(Malformed::Unexpected.into()),
        };
        // Who waits for a reply is on the bus, and not waited for.
        if let Some(Correlation::Reply(_)) = header.correlation {
            return Err(Malformed::Unexpected.into());
        }
        let mut attached = match self.attached.take() {
            Some(attached) => attached,
            None => {
                let objects = std::mem::take(&mut self.objects);
                if objects.len() as u64 != header.objects_beside() {
                    return Err(Malformed::Objects.into());
                }
                Attached::new(&header, objects)
            }
        };
        let all = usize::MAX;
        if let Err(error) = attached.open_regions(&header, &mut self.regions, all, all) {
            self.attached = Some(attached);
            return Err(PullError::Resources(error));
        }
        Ok(attached.assemble(self.id.sender, header, payload, &self.regions))
    }
}

/// What stands in a lane.
pub(super) enum Frame {
    Message {
        header: MessageHeader,
        /// Which of the object packets belong to it; 0 if it has no attachments.
        sequence: u64,
        payload: Range<usize>,
    },
    Forget(Vec<RegionId>),
    Declare(TypeId),
}

impl Frame {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        match LaneMessage::parse(bytes)? {
            LaneMessage::Forget(regions) => Ok(Self::Forget(regions.to_vec())),
            LaneMessage::Declare(type_id) => Ok(Self::Declare(type_id)),
            LaneMessage::Message { header, payload } => {
                let start = bytes.len() - payload.len();
                if header.objects == 0 && header.regions.is_empty() {
                    let payload = start..bytes.len();
                    return Ok(Self::Message {
                        header,
                        sequence: 0,
                        payload,
                    });
                }
                let (sequence, _) = payload.split_first_chunk::<8>().ok_or(Malformed::Short)?;
                Ok(Self::Message {
                    header,
                    sequence: u64::from_le_bytes(*sequence),
                    payload: start + 8..bytes.len(),
                })
            }
        }
    }
}

/// What no honest sender sends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a frame ends before the number of its attachments")]
    Short,
    #[error("a message refers to memory that was not lent")]
    Loans,
    #[error("a message came without its objects")]
    Objects,
    #[error("a message or its sender brings more objects than a receiver takes: {0}")]
    TooManyObjects(u64),
    #[error("a message is said to be one that another endpoint has parked")]
    Parked,
    #[error("the channel brings ever more of what nobody has asked for")]
    Flood,
    #[error("a frame of this kind is not expected here")]
    Unexpected,
    #[error(transparent)]
    Lane(#[from] ipmb_lane::Corrupt),
    #[error("a packet on the channel that means nothing")]
    Packet,
    #[error("a lane that cannot be used: {0}")]
    BadLane(String),
}

/// The objects that came with a message.
#[derive(Default)]
pub(super) struct Attached {
    users: Vec<Object>,
    /// Those of regions that were not open yet; gone when they are.
    regions: Vec<Option<OwnedObject>>,
    /// So often there was no memory for one.
    lacks: u32,
}

/// So often memory is waited for: a hostile sender may have sent more than there can be.
const LACKS: u32 = 16;

impl Attached {
    /// The objects are the user's, then those of the regions.
    pub(super) fn new(header: &MessageHeader, mut objects: Vec<OwnedObject>) -> Self {
        let users = usize::try_from(header.objects).unwrap_or(usize::MAX);
        let regions = if users < objects.len() {
            objects.split_off(users)
        } else {
            Vec::new()
        };
        // Both stay where they are.
        Self {
            users: objects.into_iter().map(Object::from).collect(),
            regions: regions.into_iter().map(Some).collect(),
            lacks: 0,
        }
    }

    /// Makes the regions that are new known, up to `most` altogether. What is over that is missing in
    /// its message. Returns `false` after so many `at_once`, if there are more.
    ///
    /// # Errors
    ///
    /// Without free descriptors, and for some time without memory. It can be tried again with what is
    /// left.
    pub(super) fn open_regions(
        &mut self,
        header: &MessageHeader,
        known: &mut HashMap<RegionId, Arc<Block>>,
        most: usize,
        mut at_once: usize,
    ) -> io::Result<bool> {
        let shown = header.regions.iter().filter(|region| region.with_object);
        for (reference, slot) in shown.zip(&mut self.regions) {
            // A sender may have to show a region again that we know.
            if known.contains_key(&reference.id) {
                continue;
            }
            if slot.is_some() && at_once == 0 {
                return Ok(false);
            }
            let Some(object) = slot.take() else { continue };
            if known.len() >= most {
                continue;
            }
            at_once -= 1;
            match Block::open(object.into(), Some((reference.id, reference.size))) {
                Ok(block) => drop(known.insert(reference.id, block)),
                Err((error, object))
                    if is_out_of_descriptors(&error) || (is_lack(&error) && self.lacks < LACKS) =>
                {
                    self.lacks += 1;
                    *slot = Some(object.into());
                    return Err(error);
                }
                Err((error, _)) => tracing::warn!(%error, "a memory region cannot be mapped"),
            }
        }
        Ok(true)
    }

    /// Puts a message together whose regions are known as far as they can be.
    pub(super) fn assemble(
        self,
        from: EndpointId,
        header: MessageHeader,
        payload: Range<usize>,
        known: &HashMap<RegionId, Arc<Block>>,
    ) -> Incoming {
        let regions = header.regions.iter();
        let regions = regions.map(|reference| match known.get(&reference.id) {
            Some(block) => MemoryRegion::adopt(block, reference),
            None => MemoryRegion::missing(io::ErrorKind::NotFound.into()),
        });
        Incoming {
            type_id: header.type_id,
            payload,
            objects: self.users,
            regions: regions.collect(),
            views: Views::new(),
            parked: header.parked.map(Box::new),
            from,
            correlation: header.correlation,
        }
    }
}

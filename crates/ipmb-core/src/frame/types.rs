//! The types of messages, by small numbers.

use super::FrameError;
use crate::TypeId;

/// The types that the sender of a line has declared, in order: both ends keep such a list.
///
/// A tag is the place in the list, from 1 on: that of a frame which is a message without attachments, and nothing but
/// its payload. Other frames have [`LaneMessage::TAG`](super::LaneMessage::TAG).
#[derive(Debug, Default)]
pub struct DeclaredTypes(Vec<TypeId>);

impl DeclaredTypes {
    /// So many types one line has, at most: what is declared costs the receiver memory. Messages of any others name
    /// their types in full.
    pub const MOST: usize = 64;

    /// The tag of a type.
    #[inline]
    pub fn tag(&self, type_id: TypeId) -> Option<u16> {
        let index = self.0.iter().position(|it| *it == type_id)?;
        Some(index as u16 + 1)
    }

    /// The type of a tag.
    ///
    /// # Errors
    ///
    /// [`FrameError::Undeclared`].
    #[inline]
    pub fn type_of(&self, tag: u16) -> Result<TypeId, FrameError> {
        let type_id = self.0.get(usize::from(tag).wrapping_sub(1));
        type_id.copied().ok_or(FrameError::Undeclared(tag))
    }

    /// How many there are: the largest tag.
    #[inline]
    pub fn count(&self) -> u16 {
        self.0.len() as u16
    }

    /// Whether no type can be declared any more.
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    /// Adds a type, which gets the next tag.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooManyTypes`].
    pub fn declare(&mut self, type_id: TypeId) -> Result<u16, FrameError> {
        if self.is_full() {
            return Err(FrameError::TooManyTypes);
        }
        self.0.push(type_id);
        Ok(self.0.len() as u16)
    }
}

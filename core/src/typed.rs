//! Messages as serde types, encoded by postcard over the byte API, both ways.

use crate::memory::Memory;
use crate::{ChannelId, DecodeError, Instant, Message, MessageId, SendError, Session};

impl<M: Memory> Session<M> {
    /// Encodes `value` into `scratch` and sends it.
    ///
    /// # Errors
    /// [`SendError::Encode`] when `scratch` is too short or the type cannot be encoded; else as [`Session::send`].
    pub fn send_value<T: serde::Serialize>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        value: &T,
        scratch: &mut [u8],
    ) -> Result<MessageId, SendError> {
        let bytes = postcard::to_slice(value, scratch).map_err(|_| SendError::Encode)?;
        self.send(now, channel, bytes)
    }
}

impl Message<'_> {
    /// Decodes the payload.
    ///
    /// # Errors
    /// When it is not exactly one value of the type.
    pub fn value<'de, T: serde::Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        match postcard::take_from_bytes(self.payload) {
            Ok((value, [])) => Ok(value),
            Ok(_) => Err(DecodeError::NotCanonical),
            Err(postcard::Error::DeserializeUnexpectedEnd) => Err(DecodeError::Truncated),
            Err(_) => Err(DecodeError::Invalid),
        }
    }
}

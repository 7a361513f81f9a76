//! Over [`embedded_io`]: for a main loop, blocking or not.

use crate::{End, Framer, StreamError};
use embedded_io::{Read, ReadReady, Write, WriteReady};
use whimbrel_core::{Instant, Message};

/// Bytes taken from the stream at a time.
const CHUNK: usize = 64;

impl Framer<'_> {
    /// Bytes taken in one call of [`Self::poll_ingress`], at most.
    pub const RECEIVE_MAX: usize = 1024;
    /// Packets begun in one call of [`Self::poll_egress`] or [`Self::poll_egress_ready`], at most.
    pub const TRANSMIT_MAX: usize = 8;

    /// Takes the bytes that are ready, at most [`Self::RECEIVE_MAX`], without waiting for more; returns how many.
    ///
    /// # Errors
    /// [`StreamError::Ended`] at the end of the stream, [`StreamError::Io`] when it fails.
    pub fn poll_ingress<E: End, R: Read + ReadReady>(
        &mut self,
        now: Instant,
        reader: &mut R,
        end: &mut E,
        mut on_message: impl FnMut(&Message<'_>),
    ) -> Result<usize, StreamError<R::Error>> {
        let mut chunk = [0; CHUNK];
        let mut taken = 0;
        while taken < Self::RECEIVE_MAX && reader.read_ready()? {
            let count = reader.read(&mut chunk)?;
            let bytes = chunk.get(..count).filter(|bytes| !bytes.is_empty()).ok_or(StreamError::Ended)?;
            self.receive(now, end, bytes, &mut on_message);
            taken += count;
        }
        Ok(taken)
    }

    /// Writes what the session wants to send, at most [`Self::TRANSMIT_MAX`] packets, waiting for the writer where
    /// it must. Returns whether that was all.
    ///
    /// # Errors
    /// See [`Self::poll_ingress`]. What was not written is kept, and goes first in the next call.
    pub fn poll_egress<E: End, W: Write>(
        &mut self,
        now: Instant,
        writer: &mut W,
        end: &mut E,
    ) -> Result<bool, StreamError<W::Error>> {
        self.write_while(now, writer, end, |_| Ok(true))
    }

    /// The same without waiting: stops when the writer is not ready. A packet may then be half written; its
    /// other half goes first in the next call.
    ///
    /// # Errors
    /// See [`Self::poll_egress`].
    pub fn poll_egress_ready<E: End, W: Write + WriteReady>(
        &mut self,
        now: Instant,
        writer: &mut W,
        end: &mut E,
    ) -> Result<bool, StreamError<W::Error>> {
        self.write_while(now, writer, end, W::write_ready)
    }

    fn write_while<E: End, W: Write>(
        &mut self,
        now: Instant,
        writer: &mut W,
        end: &mut E,
        mut is_ready: impl FnMut(&mut W) -> Result<bool, W::Error>,
    ) -> Result<bool, StreamError<W::Error>> {
        for _ in 0..Self::TRANSMIT_MAX {
            self.outbound.fill(now, end);
            if self.outbound.pending().is_empty() {
                return Ok(true);
            }
            while !self.outbound.pending().is_empty() {
                if !is_ready(writer)? {
                    return Ok(false);
                }
                match writer.write(self.outbound.pending())? {
                    0 => return Err(StreamError::Ended),
                    count => self.outbound.written(count),
                }
            }
        }
        Ok(false)
    }
}

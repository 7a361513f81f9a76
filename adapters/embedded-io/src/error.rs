//! What a byte stream can answer instead of bytes.

use core::fmt;

/// Why the stream cannot go on. The session lives: it may go on over another stream, after [`crate::Framer::reset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError<E> {
    /// The stream's own error.
    Io(E),
    /// The stream is at its end: it gave no bytes, or took none.
    Ended,
}

impl<E> From<E> for StreamError<E> {
    fn from(error: E) -> Self {
        Self::Io(error)
    }
}

impl<E: fmt::Debug> fmt::Display for StreamError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the byte stream failed: {error:?}"),
            Self::Ended => f.write_str("the byte stream is at its end"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StreamError<E> {}

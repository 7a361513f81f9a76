//! One end of the line: a device's session, or a gateway that waits for a device.

use whimbrel_core::{Hello, Instant, Memory, PathId, Session};

/// What a [`crate::Framer`] drives.
pub trait End {
    /// Where the session keeps what it keeps.
    type Memory: Memory;

    /// The session, if there is one yet.
    fn session(&mut self) -> Option<&mut Session<Self::Memory>>;

    /// A device asks for a session. Returns whether that is of any concern here; if not, the session counts it.
    fn on_hello(&mut self, now: Instant, path: PathId, hello: &Hello<'_>) -> bool {
        let _ = (now, path, hello);
        false
    }
}

/// A device's end.
impl<M: Memory> End for Session<M> {
    type Memory = M;

    fn session(&mut self) -> Option<&mut Self> {
        Some(self)
    }
}

/// A gateway's end: one device at a time, that at the other end of the line.
#[derive(Debug)]
pub struct Gateway<M, A> {
    /// The session with the device: `None` before it asked.
    pub session: Option<Session<M>>,
    admit: A,
}

impl<M: Memory, A: FnMut(Instant, PathId, &Hello<'_>) -> Option<Session<M>>> Gateway<M, A> {
    /// `admit` makes the session, by [`Session::accept`], when a device asks for one, or asks for another because it
    /// lost the one before; `None` is silence, and the device asks again.
    pub const fn new(admit: A) -> Self {
        Self { session: None, admit }
    }
}

impl<M: Memory, A: FnMut(Instant, PathId, &Hello<'_>) -> Option<Session<M>>> End for Gateway<M, A> {
    type Memory = M;

    fn session(&mut self) -> Option<&mut Session<M>> {
        self.session.as_mut()
    }

    fn on_hello(&mut self, now: Instant, path: PathId, hello: &Hello<'_>) -> bool {
        match &mut self.session {
            // Our answer was lost.
            Some(session) if session.hello_id() == hello.id() => session.repeat_accept(now, path),
            // A line keeps the order, so that this one is newer.
            session => {
                if let Some(admitted) = (self.admit)(now, path, hello) {
                    *session = Some(admitted);
                }
            }
        }
        true
    }
}

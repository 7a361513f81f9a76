//! Over [`embedded_io_async`]: for any executor.

use crate::framer::{Inbound, Outbound};
use crate::{End, Framer, StreamError};
use core::cell::{Cell, RefCell, RefMut};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use embedded_io_async::{Read, Write};
use whimbrel_core::{Instant, Message};

/// Bytes taken from the stream at a time.
const CHUNK: usize = 64;
/// Reads and writes in one poll, at most; then other tasks have their turn.
const STEPS_MAX: u8 = 16;

impl Framer<'_> {
    /// Drives the session over the stream, both ways at once, until the session is closed and its goodbye written.
    ///
    /// - The application reaches the session through the same `RefCell`, from other tasks or in `wait`; it must not
    ///   keep it borrowed across an `.await`, nor borrow it in `on_message`.
    /// - `clock` tells the time.
    /// - `wait` completes at the given time, or earlier when the application used the session; given `None`, only then.
    ///
    /// No read or write is cancelled as long as the future itself is not: drivers that lose bytes then, as those that use
    /// DMA into the caller's buffer, are safe here. Work per poll is bounded.
    ///
    /// # Errors
    /// [`StreamError::Ended`] at the end of the stream, [`StreamError::Io`] when it fails.
    pub async fn run<E: End, R: Read, W: Write<Error = R::Error>>(
        &mut self,
        end: &RefCell<E>,
        reader: R,
        writer: W,
        clock: impl Fn() -> Instant,
        wait: impl AsyncFn(Option<Instant>),
        on_message: impl FnMut(&Message<'_>),
    ) -> Result<(), StreamError<R::Error>> {
        let turn = Turn::default();
        let mut receive = pin!(receive(&mut self.inbound, end, reader, &clock, &turn, on_message));
        let mut transmit = pin!(transmit(&mut self.outbound, end, writer, &clock, &turn, wait));
        poll_fn(|cx| {
            turn.steps.set(0);
            if let Poll::Ready(ended) = receive.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            // Second, so that it sees what was just received.
            transmit.as_mut().poll(cx)
        })
        .await
    }
}

/// What the two directions tell each other within one task.
#[derive(Default)]
struct Turn {
    steps: Cell<u8>,
    /// A packet may have come in, to which the session wants to answer.
    received: Cell<bool>,
}

impl Turn {
    /// Lets other tasks run when this one had its share.
    async fn step(&self) {
        poll_fn(|cx| {
            let steps = self.steps.get();
            if steps >= STEPS_MAX {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.steps.set(steps + 1);
            Poll::Ready(())
        })
        .await;
    }
}

async fn receive<E: End, R: Read>(
    inbound: &mut Inbound<'_>,
    end: &RefCell<E>,
    mut reader: R,
    clock: impl Fn() -> Instant,
    turn: &Turn,
    mut on_message: impl FnMut(&Message<'_>),
) -> Result<(), StreamError<R::Error>> {
    let mut chunk = [0; CHUNK];
    loop {
        turn.step().await;
        let count = reader.read(&mut chunk).await?;
        let bytes = chunk.get(..count).filter(|bytes| !bytes.is_empty()).ok_or(StreamError::Ended)?;
        inbound.receive(clock(), &mut *borrow(end).await, bytes, &mut on_message);
        turn.received.set(true);
    }
}

async fn transmit<E: End, W: Write>(
    outbound: &mut Outbound<'_>,
    end: &RefCell<E>,
    mut writer: W,
    clock: impl Fn() -> Instant,
    turn: &Turn,
    wait: impl AsyncFn(Option<Instant>),
) -> Result<(), StreamError<W::Error>> {
    loop {
        turn.step().await;
        let (deadline, is_closed) = {
            let mut end = borrow(end).await;
            outbound.fill(clock(), &mut *end);
            end.session().map_or((None, false), |session| (session.poll_timeout(), session.is_closed()))
        };
        if !outbound.pending().is_empty() {
            match writer.write(outbound.pending()).await? {
                0 => return Err(StreamError::Ended),
                count => outbound.written(count),
            }
        } else if is_closed {
            return Ok(());
        } else {
            let mut wait = pin!(wait(deadline));
            poll_fn(|cx| if turn.received.take() { Poll::Ready(()) } else { wait.as_mut().poll(cx) }).await;
        }
    }
}

/// Waits until nobody else has it.
async fn borrow<'s, E: End>(end: &'s RefCell<E>) -> RefMut<'s, E> {
    poll_fn(|cx| {
        end.try_borrow_mut().map_or_else(
            |_| {
                cx.waker().wake_by_ref();
                Poll::Pending
            },
            Poll::Ready,
        )
    })
    .await
}

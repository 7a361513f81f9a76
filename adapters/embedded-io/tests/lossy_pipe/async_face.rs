use crate::peers::{self, BUFFER, MESSAGES, Store, TIME_MAX};
use crate::pipe::Pipe;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use whimbrel_core::{CloseReason, Instant};
use whimbrel_embedded_io::StreamError;

/// Time, and a bell that the application rings when it used its session.
#[derive(Default)]
struct Clock {
    now: Cell<Instant>,
    rung: [Cell<bool>; 2],
}

impl Clock {
    async fn wait(&self, bell: usize, deadline: Option<Instant>) {
        poll_fn(|_| {
            let due = deadline.is_some_and(|deadline| deadline <= self.now.get());
            if self.rung[bell].take() || due { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Both tasks are polled once a millisecond, until everything is stored, committed, and the goodbye said.
fn run(seed: u64, one_in: u32) -> u32 {
    let (up, down) = (Pipe::new(2 * seed, one_in), Pipe::new(2 * seed + 1, one_in));
    let mut buffers = [[0; BUFFER]; 2];
    let [device_framer, gateway_framer] = &mut buffers;
    let (mut device_framer, mut gateway_framer) = (peers::framer(device_framer), peers::framer(gateway_framer));
    let (device, gateway) = (RefCell::new(peers::device()), RefCell::new(peers::gateway()));
    let (store, clock) = (RefCell::new(Store::default()), Clock::default());
    let mut device_task = pin!(device_framer.run(
        &device,
        down.clone(),
        up.clone(),
        || clock.now.get(),
        async |deadline| clock.wait(0, deadline).await,
        |_| panic!("nothing is sent this way"),
    ));
    let mut gateway_task = pin!(gateway_framer.run(
        &gateway,
        up.clone(),
        down.clone(),
        || clock.now.get(),
        async |deadline| clock.wait(1, deadline).await,
        |message| store.borrow_mut().take(message),
    ));
    let mut cx = Context::from_waker(Waker::noop());
    let (mut next, mut gone, mut heard) = (0, false, false);
    for millis in 0..TIME_MAX {
        let now = Instant::from_millis(millis);
        clock.now.set(now);
        let mut session = device.borrow_mut();
        clock.rung[0].set(peers::offer(now, &mut session, &mut next));
        if next == MESSAGES && session.queued() == 0 && !gone {
            session.close(now, CloseReason::Done);
            clock.rung[0].set(true);
            gone = true;
        }
        drop(session);
        let ended = device_task.as_mut().poll(&mut cx);
        if !heard {
            let ended = gateway_task.as_mut().poll(&mut cx);
            // The gateway's end may hear the goodbye before the device's end knows that it is written.
            heard = ended.is_ready();
            assert!(!heard || (gone && ended == Poll::Ready(Ok(()))), "{ended:?}");
        }
        if ended.is_ready() {
            assert_eq!((ended, store.borrow().next), (Poll::Ready(Ok(())), MESSAGES));
            return up.damaged() + down.damaged();
        }
        if let Some(session) = &mut gateway.borrow_mut().session {
            clock.rung[1].set(store.borrow_mut().commit(now, session));
        }
    }
    panic!("seed {seed}: {} of {MESSAGES} stored, {} queued", store.borrow().next, device.borrow().queued());
}

#[test]
fn everything_arrives_once_and_in_order() {
    for seed in 0..8 {
        let damaged = run(seed, 900);
        assert!(damaged > 20, "seed {seed}: the line was too good: {damaged}");
    }
}

#[test]
fn the_end_of_the_stream_is_an_error() {
    let (up, down) = (Pipe::new(1, 0), Pipe::new(2, 0));
    let mut buffer = [0; BUFFER];
    let mut framer = peers::framer(&mut buffer);
    let device = RefCell::new(peers::device());
    down.close();
    let mut task = pin!(framer.run(&device, down, up, || Instant::ZERO, async |_| (), |_| ()));
    let ended = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(ended, Poll::Ready(Err(StreamError::Ended)));
}

// Bounded work in a poll: a reader that always has bytes must not keep other tasks from running.
#[test]
fn a_reader_that_never_waits_lets_others_run() {
    struct Babble(Cell<u32>);
    impl embedded_io::ErrorType for &Babble {
        type Error = core::convert::Infallible;
    }
    impl embedded_io_async::Read for &Babble {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            self.0.set(self.0.get() + 1);
            buf.fill(0x55);
            Ok(buf.len())
        }
    }
    let mut buffer = [0; BUFFER];
    let mut framer = peers::framer(&mut buffer);
    let (device, babble) = (RefCell::new(peers::device()), Babble(Cell::new(0)));
    let up = Pipe::new(1, 0);
    let mut task =
        pin!(framer.run(&device, &babble, up, || Instant::ZERO, async |_| core::future::pending().await, |_| ()));
    let mut cx = Context::from_waker(Waker::noop());
    for polls in 1..=5 {
        assert!(task.as_mut().poll(&mut cx).is_pending());
        assert!((polls..=polls * 16).contains(&babble.0.get()), "{} reads in {polls} polls", babble.0.get());
    }
}

// The application may be in the middle of using its session.
#[test]
fn a_session_in_use_is_waited_for() {
    let (up, down) = (Pipe::new(1, 0), Pipe::new(2, 0));
    let mut buffer = [0; BUFFER];
    let mut framer = peers::framer(&mut buffer);
    let device = RefCell::new(peers::device());
    let mut task =
        pin!(framer.run(&device, down, up.clone(), || Instant::ZERO, async |_| core::future::pending().await, |_| ()));
    let mut cx = Context::from_waker(Waker::noop());
    let held = device.borrow_mut();
    assert!(task.as_mut().poll(&mut cx).is_pending());
    assert_eq!(embedded_io::ReadReady::read_ready(&mut up.clone()), Ok(false));
    drop(held);
    assert!(task.as_mut().poll(&mut cx).is_pending());
    assert_eq!(embedded_io::ReadReady::read_ready(&mut up.clone()), Ok(true));
}

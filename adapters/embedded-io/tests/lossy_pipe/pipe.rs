//! A serial line in memory, as bad as asked for.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::RngCore;
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes on their way, at most: as in the FIFO of a UART.
const CAPACITY: usize = 96;

/// One direction. Its clones are its two ends.
#[derive(Clone)]
pub(crate) struct Pipe(Rc<RefCell<Line>>);

struct Line {
    bytes: VecDeque<u8>,
    rng: Pcg32,
    /// One byte in so many is lost, one spoilt, and one made up; 0 for none.
    one_in: u32,
    damaged: u32,
    open: bool,
}

impl Pipe {
    pub(crate) fn new(seed: u64, one_in: u32) -> Self {
        let rng = Pcg32::new(seed, 0);
        Self(Rc::new(RefCell::new(Line { bytes: VecDeque::new(), rng, one_in, damaged: 0, open: true })))
    }

    /// Bytes that were not what they should have been.
    pub(crate) fn damaged(&self) -> u32 {
        self.0.borrow().damaged
    }

    pub(crate) fn close(&self) {
        self.0.borrow_mut().open = false;
    }

    fn try_read(&self, buf: &mut [u8]) -> Option<usize> {
        let mut line = self.0.borrow_mut();
        if line.bytes.is_empty() && line.open {
            return None;
        }
        let ready = buf.len().min(line.bytes.len());
        let count = line.some_of(ready);
        for place in &mut buf[..count] {
            *place = line.bytes.pop_front().unwrap();
        }
        Some(count)
    }

    fn try_write(&self, buf: &[u8]) -> Option<usize> {
        let mut line = self.0.borrow_mut();
        let room = CAPACITY.saturating_sub(line.bytes.len());
        if room == 0 {
            return None;
        }
        let count = line.some_of(buf.len().min(room));
        buf[..count].iter().for_each(|byte| line.put(*byte));
        Some(count)
    }
}

impl Line {
    fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u32() as usize % bound
    }

    /// Never all at once: 1 to 24 of them.
    fn some_of(&mut self, count: usize) -> usize {
        let some = 1 + self.below(24);
        count.min(some)
    }

    fn put(&mut self, byte: u8) {
        let fate = if self.one_in == 0 { 3 } else { self.rng.next_u32() % self.one_in };
        self.damaged += u32::from(fate < 3);
        match fate {
            0 => {}
            1 => {
                let bit = self.below(8);
                self.bytes.push_back(byte ^ (1 << bit));
            }
            2 => {
                let made_up = self.below(256) as u8;
                self.bytes.extend([byte, made_up]);
            }
            _ => self.bytes.push_back(byte),
        }
    }
}

impl embedded_io::ErrorType for Pipe {
    type Error = Infallible;
}

impl embedded_io::ReadReady for Pipe {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        let line = self.0.borrow();
        Ok(!line.bytes.is_empty() || !line.open)
    }
}

impl embedded_io::WriteReady for Pipe {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.borrow().bytes.len() < CAPACITY)
    }
}

impl embedded_io::Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.try_read(buf).expect("a read that would block for ever"))
    }
}

impl embedded_io::Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        Ok(self.try_write(buf).expect("a write that would block for ever"))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

// Nobody is woken: the tests poll every millisecond of their time.
impl embedded_io_async::Read for Pipe {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| self.try_read(buf).map_or(Poll::Pending, |count| Poll::Ready(Ok(count)))).await
    }
}

impl embedded_io_async::Write for Pipe {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|_| self.try_write(buf).map_or(Poll::Pending, |count| Poll::Ready(Ok(count)))).await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

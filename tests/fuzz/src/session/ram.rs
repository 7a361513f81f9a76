//! Memory of several sizes: the presets, and one so narrow that all its limits are met.

use whimbrel_core::{Inline, Large, Medium, Memory, Parts, Small};

/// The memory of one session.
pub(super) struct Ram(Box<dyn Memory>);

impl Memory for Ram {
    fn parts(&mut self) -> Parts<'_> {
        self.0.parts()
    }
}

/// A size: how many streams it sends and receives, and the longest message that can wait in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) send: usize,
    pub(super) receive: usize,
    pub(super) longest: usize,
    make: fn() -> Ram,
}

impl Size {
    /// Fresh memory.
    pub(super) fn allocate(&self) -> Ram {
        (self.make)()
    }
}

const NARROW: Size = Size {
    send: 2,
    receive: 4,
    longest: 32,
    make: || Ram(Box::new(Inline::<2, 4, 5, 7, 210, 4, 5, 16, 2, 64, 90>::new())),
};
const SMALL: Size = Size { send: 2, receive: 1, longest: 64, make: || Ram(Box::new(Small::new())) };
const MEDIUM: Size = Size { send: 4, receive: 4, longest: 128, make: || Ram(Box::new(Medium::new())) };
const LARGE: Size = Size { send: 8, receive: 8, longest: 256, make: || Ram(Box::new(Large::new())) };

/// What a device may have.
pub(super) const DEVICES: [Size; 4] = [NARROW, SMALL, MEDIUM, LARGE];
/// What a gateway may lend: room for four streams or more.
pub(super) const GATEWAYS: [Size; 3] = [NARROW, MEDIUM, LARGE];

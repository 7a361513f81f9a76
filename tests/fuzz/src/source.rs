//! Bytes as a source of decisions. It never runs dry: after the end everything is zero.

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    /// Of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all bytes were used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next bytes, at most `n`.
    pub fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    /// A byte.
    pub fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// A number of any size; small ones take fewer bytes.
    pub fn u64(&mut self) -> u64 {
        let len = usize::from(self.u8() % 9);
        self.bytes(len).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A yes or no.
    pub fn bool(&mut self) -> bool {
        self.u8() & 1 != 0
    }

    /// A place in something of this length; `None` when it is empty.
    pub fn index(&mut self, len: usize) -> Option<usize> {
        usize::from(self.u8()).checked_rem(len)
    }
}

/// What a world does: a step that the bytes decide, then whatever comes of it, and at the end what must come right.
pub type Acts<W> = (fn(&mut W, &mut Source<'_>), fn(&mut W), fn(&mut W));

/// Runs the bytes as a program: a world is drawn from them, then steps, at most so many.
pub fn program<W>(bytes: &[u8], steps_max: usize, new: fn(&mut Source<'_>) -> W, (step, settle, heal): Acts<W>) {
    let mut source = Source::new(bytes);
    let mut world = new(&mut source);
    settle(&mut world);
    for _ in 0..steps_max {
        if source.is_empty() {
            break;
        }
        step(&mut world, &mut source);
        settle(&mut world);
    }
    heal(&mut world);
}

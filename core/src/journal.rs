//! Where accepted payloads are kept until the peer has them: the seam behind which an outbox
//! survives power loss, and the implementation in RAM.
//!
//! The RAM journal is a pool of fixed blocks, chained per payload: any payload is freed by itself,
//! in constant time per block, and memory cannot fragment however long one message is kept.

/// No index, no block.
pub(crate) const NONE: u16 = u16::MAX;

/// Names a payload in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(pub(crate) u16);

/// The journal has no room for the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalFull;

/// A store of payloads.
pub(crate) trait Journal {
    /// Keeps a copy of `payload`, whole or not at all.
    fn append(&mut self, payload: &[u8]) -> Result<Handle, JournalFull>;
    /// Copies the payload into `out`, which is as long as the payload.
    fn read(&self, handle: Handle, out: &mut [u8]);
    /// Forgets the payload.
    fn free(&mut self, handle: Handle);
}

/// One piece of a payload and the way to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    next: u16,
    bytes: [u8; Block::LEN],
}

impl Block {
    /// Payload bytes in a block; with the link it makes 32.
    pub(crate) const LEN: usize = 30;
    pub(crate) const EMPTY: Self = Self { next: NONE, bytes: [0; Self::LEN] };
}

/// The head of the free list and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RamState {
    free: u16,
    free_len: u16,
}

impl RamState {
    /// Puts every block on the free list.
    pub(crate) fn new(blocks: &mut [Block]) -> Self {
        let len = blocks.len().min(usize::from(NONE)) as u16;
        for (at, block) in (1..=len).zip(blocks) {
            block.next = if at == len { NONE } else { at };
        }
        Self { free: if len == 0 { NONE } else { 0 }, free_len: len }
    }
}

impl RamJournal<'_> {
    /// Blocks that a payload takes: an empty one takes one too, so that every handle names a block.
    pub(crate) fn blocks_of(len: usize) -> usize {
        len.div_ceil(Block::LEN).max(1)
    }

    /// Blocks that are free.
    pub(crate) fn free_blocks(&self) -> usize {
        usize::from(self.state.free_len)
    }
}

/// The journal in RAM. Loses everything at a reboot; the peer learns so by the new stream epoch.
pub(crate) struct RamJournal<'a> {
    pub(crate) state: &'a mut RamState,
    pub(crate) blocks: &'a mut [Block],
}

impl Journal for RamJournal<'_> {
    fn append(&mut self, payload: &[u8]) -> Result<Handle, JournalFull> {
        let needed = Self::blocks_of(payload.len());
        if needed > usize::from(self.state.free_len) {
            return Err(JournalFull);
        }
        let first = self.state.free;
        let mut at = first;
        let mut rest = payload;
        for left in (0..needed).rev() {
            let Some(block) = self.blocks.get_mut(usize::from(at)) else { return Err(JournalFull) };
            let (piece, tail) = rest.split_at_checked(Block::LEN).unwrap_or((rest, &[]));
            if let Some(room) = block.bytes.get_mut(..piece.len()) {
                room.copy_from_slice(piece);
            }
            rest = tail;
            at = block.next;
            if left == 0 {
                block.next = NONE;
            }
        }
        self.state.free = at;
        self.state.free_len -= needed as u16;
        Ok(Handle(first))
    }

    fn read(&self, handle: Handle, out: &mut [u8]) {
        let mut at = handle.0;
        for piece in out.chunks_mut(Block::LEN) {
            let Some(block) = self.blocks.get(usize::from(at)) else { return };
            if let Some(bytes) = block.bytes.get(..piece.len()) {
                piece.copy_from_slice(bytes);
            }
            at = block.next;
        }
    }

    fn free(&mut self, handle: Handle) {
        let mut at = handle.0;
        // Bounded by the pool: a chain cannot be longer.
        for _ in 0..self.blocks.len() {
            let Some(block) = self.blocks.get_mut(usize::from(at)) else { return };
            let next = block.next;
            block.next = self.state.free;
            self.state.free = at;
            self.state.free_len += 1;
            if next == NONE {
                return;
            }
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        // A naive model: a list of payloads, and block arithmetic for what fits.
        #[test]
        fn keeps_what_a_list_would_keep(ops in prop::collection::vec((any::<bool>(), 0usize..100, any::<u8>()), 0..200)) {
            let mut blocks = [Block::EMPTY; 12];
            let mut state = RamState::new(&mut blocks);
            let mut journal = RamJournal { state: &mut state, blocks: &mut blocks };
            let mut model: Vec<(Handle, Vec<u8>)> = Vec::new();
            for (append, len, byte) in ops {
                if append {
                    let payload: Vec<u8> = (0..len).map(|i| byte.wrapping_add(i as u8)).collect();
                    let used: usize = model.iter().map(|(_, p)| p.len().div_ceil(Block::LEN).max(1)).sum();
                    let fits = used + len.div_ceil(Block::LEN).max(1) <= 12;
                    match journal.append(&payload) {
                        Ok(handle) => { prop_assert!(fits); model.push((handle, payload)); }
                        Err(JournalFull) => prop_assert!(!fits),
                    }
                } else if !model.is_empty() {
                    let (handle, _) = model.remove(len % model.len());
                    journal.free(handle);
                }
                for (handle, payload) in &model {
                    let mut out = std::vec![0; payload.len()];
                    journal.read(*handle, &mut out);
                    prop_assert_eq!(&out, payload);
                }
            }
        }
    }
}

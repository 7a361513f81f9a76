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

/// The head of the free list, how long it is, and how long a block is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RamState {
    free: u16,
    free_len: u16,
    block_len: u16,
}

impl RamState {
    /// Puts every block on the free list. `bytes` is shared out among `links`.
    pub(crate) fn new(links: &mut [u16], bytes: &[u8]) -> Self {
        let len = links.len().min(usize::from(NONE)) as u16;
        for (at, link) in (1..=len).zip(links) {
            *link = if at == len { NONE } else { at };
        }
        let block_len = bytes.len().checked_div(usize::from(len)).unwrap_or(0).min(usize::from(u16::MAX)) as u16;
        Self { free: if len == 0 { NONE } else { 0 }, free_len: len, block_len }
    }
}

/// The journal in RAM. Loses everything at a reboot; the peer learns so by the new stream epoch.
pub(crate) struct RamJournal<'a> {
    pub(crate) state: &'a mut RamState,
    /// For each block, the next one of its payload, or of the free list.
    pub(crate) links: &'a mut [u16],
    pub(crate) bytes: &'a mut [u8],
}

impl RamJournal<'_> {
    /// Payload bytes in a block.
    pub(crate) fn block_len(&self) -> usize {
        usize::from(self.state.block_len).max(1)
    }

    /// Blocks that a payload takes: an empty one takes one too, so that every handle names a block.
    pub(crate) fn blocks_of(&self, len: usize) -> usize {
        len.div_ceil(self.block_len()).max(1)
    }

    /// Blocks that are free.
    pub(crate) fn free_blocks(&self) -> usize {
        usize::from(self.state.free_len)
    }

    fn link(&self, block: u16) -> u16 {
        self.links.get(usize::from(block)).copied().unwrap_or(NONE)
    }

    /// The first `len` bytes of a block.
    fn block(&mut self, block: u16, len: usize) -> Option<&mut [u8]> {
        let start = usize::from(block) * self.block_len();
        self.bytes.get_mut(start..start + len)
    }
}

impl Journal for RamJournal<'_> {
    fn append(&mut self, payload: &[u8]) -> Result<Handle, JournalFull> {
        let needed = self.blocks_of(payload.len());
        if needed > usize::from(self.state.free_len) {
            return Err(JournalFull);
        }
        let first = self.state.free;
        let (mut at, mut rest) = (first, payload);
        for left in (0..needed).rev() {
            let (piece, tail) = rest.split_at_checked(self.block_len()).unwrap_or((rest, &[]));
            if let Some(room) = self.block(at, piece.len()) {
                room.copy_from_slice(piece);
            }
            rest = tail;
            let next = self.link(at);
            if left == 0
                && let Some(link) = self.links.get_mut(usize::from(at))
            {
                *link = NONE;
            }
            at = next;
        }
        self.state.free = at;
        self.state.free_len -= needed as u16;
        Ok(Handle(first))
    }

    fn read(&self, handle: Handle, out: &mut [u8]) {
        let (mut at, len) = (handle.0, self.block_len());
        for piece in out.chunks_mut(len) {
            let start = usize::from(at) * len;
            let Some(bytes) = self.bytes.get(start..start + piece.len()) else { return };
            piece.copy_from_slice(bytes);
            at = self.link(at);
        }
    }

    fn free(&mut self, handle: Handle) {
        let mut at = handle.0;
        // Bounded by the pool: a chain cannot be longer.
        for _ in 0..self.links.len() {
            let Some(link) = self.links.get_mut(usize::from(at)) else { return };
            let next = core::mem::replace(link, self.state.free);
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

    const LEN: usize = 30;

    proptest! {
        // A naive model: a list of payloads, and block arithmetic for what fits.
        #[test]
        fn keeps_what_a_list_would_keep(ops in prop::collection::vec((any::<bool>(), 0usize..100, any::<u8>()), 0..200)) {
            let (mut links, mut bytes) = ([0; 12], [0; 12 * LEN]);
            let mut state = RamState::new(&mut links, &bytes);
            let mut journal = RamJournal { state: &mut state, links: &mut links, bytes: &mut bytes };
            let mut model: Vec<(Handle, Vec<u8>)> = Vec::new();
            for (append, len, byte) in ops {
                if append {
                    let payload: Vec<u8> = (0..len).map(|i| byte.wrapping_add(i as u8)).collect();
                    let used: usize = model.iter().map(|(_, p)| p.len().div_ceil(LEN).max(1)).sum();
                    let fits = used + len.div_ceil(LEN).max(1) <= 12;
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

//! ChaCha20 for firmware, where flash is scarce: the cipher of the crate `chacha20`, whose rounds are not copied to
//! each of the places that ask for a block. Only how its function is called differs; on a host, where many blocks are
//! made at once, its own way is better.

use chacha20::cipher::consts::{U1, U12, U32};
use chacha20::cipher::{
    Block, BlockSizeUser, Iv, IvSizeUser, Key, KeyIvInit, KeySizeUser, ParBlocksSizeUser, StreamCipherBackend,
    StreamCipherClosure, StreamCipherCore, StreamCipherCoreWrapper, StreamCipherSeekCore,
};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use chacha20poly1305::ChaChaPoly1305;

/// ChaCha20-Poly1305 (RFC 8439).
pub(super) type SmallChaCha20Poly1305 = ChaChaPoly1305<StreamCipherCoreWrapper<Blockwise>, U12>;

type Core = ChaChaCore<R20, Ietf>;

/// ChaCha20 (RFC 8439 section 2.4), a block at a time.
pub(super) struct Blockwise(Core);

impl KeySizeUser for Blockwise {
    type KeySize = U32;
}

impl IvSizeUser for Blockwise {
    type IvSize = U12;
}

impl BlockSizeUser for Blockwise {
    type BlockSize = <Core as BlockSizeUser>::BlockSize;
}

impl KeyIvInit for Blockwise {
    fn new(key: &Key<Self>, iv: &Iv<Self>) -> Self {
        Self(Core::new(key, iv))
    }
}

impl StreamCipherCore for Blockwise {
    fn remaining_blocks(&self) -> Option<usize> {
        self.0.remaining_blocks()
    }

    fn process_with_backend(&mut self, f: impl StreamCipherClosure<BlockSize = Self::BlockSize>) {
        f.call(&mut OutOfLine(&mut self.0));
    }
}

impl StreamCipherSeekCore for Blockwise {
    type Counter = <Core as StreamCipherSeekCore>::Counter;

    fn get_block_pos(&self) -> Self::Counter {
        self.0.get_block_pos()
    }

    fn set_block_pos(&mut self, pos: Self::Counter) {
        self.0.set_block_pos(pos);
    }
}

struct OutOfLine<'a>(&'a mut Core);

impl BlockSizeUser for OutOfLine<'_> {
    type BlockSize = <Core as BlockSizeUser>::BlockSize;
}

impl ParBlocksSizeUser for OutOfLine<'_> {
    type ParBlocksSize = U1;
}

impl StreamCipherBackend for OutOfLine<'_> {
    #[inline(never)]
    fn gen_ks_block(&mut self, block: &mut Block<Self>) {
        self.0.write_keystream_block(block);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use chacha20poly1305::aead::AeadInOut;
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Tag};

    use super::*;

    /// Lengths below, at and above a block and several.
    const LENGTHS: [usize; 12] = [0, 1, 15, 16, 63, 64, 65, 127, 128, 129, 640, 1452];

    fn sealed<A: AeadInOut<NonceSize = U12> + KeyInit<KeySize = U32>>(header: &[u8], bytes: &mut [u8]) -> Vec<u8> {
        let cipher = A::new(&[7; 32].into());
        cipher.encrypt_inout_detached(&[9; 12].into(), header, bytes.into()).unwrap().to_vec()
    }

    #[test]
    fn it_seals_as_the_other_does_and_opens() {
        for (at, len) in LENGTHS.into_iter().enumerate() {
            let plain: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
            let header = &plain[..at.min(len)];
            let (mut small, mut other) = (plain.clone(), plain.clone());
            let tag = sealed::<SmallChaCha20Poly1305>(header, &mut small);
            assert_eq!(tag, sealed::<ChaCha20Poly1305>(header, &mut other), "{len}");
            assert_eq!(small, other, "{len}");

            let cipher = SmallChaCha20Poly1305::new(&[7; 32].into());
            let tag = Tag::try_from(&tag[..]).unwrap();
            let mut forged = tag;
            forged[at] ^= 1;
            assert!(cipher.decrypt_inout_detached(&[9; 12].into(), header, (&mut small[..]).into(), &forged).is_err());
            assert_eq!(small, other, "{len}");
            cipher.decrypt_inout_detached(&[9; 12].into(), header, (&mut small[..]).into(), &tag).unwrap();
            assert_eq!(small, plain, "{len}");
        }
    }

    // RFC 8439 section 2.8.2.
    #[test]
    fn aead_of_rfc_8439() {
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                     sunscreen would be it.";
        let key: [u8; 32] = core::array::from_fn(|at| 0x80 + at as u8);
        let nonce = [0x07, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let header = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let mut bytes = text.to_vec();
        let cipher = SmallChaCha20Poly1305::new(&key.into());
        let tag = cipher.encrypt_inout_detached(&nonce.into(), &header, (&mut bytes[..]).into()).unwrap();
        assert_eq!(bytes[..8], [0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb]);
        assert_eq!(bytes[112..], [0x61, 0x16]);
        assert_eq!(
            tag[..],
            [0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91]
        );
    }
}

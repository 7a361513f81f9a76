//! A session's memory of a size chosen when the test runs.

use whimbrel_core::{Large, Medium, Memory, Parts, Small};

/// The presets of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// About 2 KiB.
    Small,
    /// About 8 KiB.
    Medium,
    /// About 32 KiB.
    Large,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// Fresh memory of that size.
    pub fn allocate(self) -> Store {
        match self {
            Self::Small => Store::Small(Box::default()),
            Self::Medium => Store::Medium(Box::default()),
            Self::Large => Store::Large(Box::default()),
        }
    }

    /// How many streams such a memory sends and receives.
    pub const fn streams(self) -> (usize, usize) {
        match self {
            Self::Small => (2, 1),
            Self::Medium => (4, 4),
            Self::Large => (8, 8),
        }
    }

    /// The longest message that such a memory receives in fragments, in bytes; 0 for none.
    pub const fn assembled(self) -> usize {
        match self {
            Self::Small => 0,
            Self::Medium => 512,
            Self::Large => 2_048,
        }
    }

    /// The longest message that such a memory receives whole, in bytes: a slot of its reorder buffer.
    pub const fn longest(self) -> usize {
        match self {
            Self::Small => 64,
            Self::Medium => 128,
            Self::Large => 256,
        }
    }
}

/// The memory of one session.
#[derive(Debug)]
pub enum Store {
    /// See [`Preset::Small`].
    Small(Box<Small>),
    /// See [`Preset::Medium`].
    Medium(Box<Medium>),
    /// See [`Preset::Large`].
    Large(Box<Large>),
}

impl Memory for Store {
    fn parts(&mut self) -> Parts<'_> {
        match self {
            Self::Small(memory) => memory.parts(),
            Self::Medium(memory) => memory.parts(),
            Self::Large(memory) => memory.parts(),
        }
    }
}

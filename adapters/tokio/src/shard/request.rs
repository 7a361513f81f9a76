//! A request while the application thinks about it.

use whimbrel_core::{Hello, Offer, Opened};

/// A device's request, valid when it came, as it is kept while the application thinks.
pub(crate) enum Request {
    /// The whole of it.
    Plain(Vec<u8>),
    /// What the gate made of it.
    Sealed(Box<SealedRequest>),
}

/// A sealed request that was opened.
pub(crate) struct SealedRequest {
    pub(crate) opened: Opened,
    pub(crate) terms: Vec<u8>,
    /// The attempt's number.
    pub(crate) counter: u64,
}

impl Request {
    pub(crate) fn offer(&self) -> Option<Offer<'_>> {
        match self {
            Self::Plain(hello) => Hello::parse(hello).ok()?.plain(),
            Self::Sealed(request) => Offer::new(request.opened.clone(), &request.terms).ok(),
        }
    }

    /// The attempt's number, of a sealed one.
    pub(crate) fn counter(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Sealed(request) => Some(request.counter),
        }
    }
}

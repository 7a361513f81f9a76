//! Change of the gateway's key: the gateway says its next one under seal, the device keeps it beside the one in use.

use super::state::{Engine, State};
use super::transmit::Built;
use crate::Event;
use crate::seal::{GatewayPublic, Keys, Pattern};
use crate::wire::{Writer, emit_gateway_key};

/// A key on its way: to the device, or to the application.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyNews {
    key: GatewayPublic,
    /// Still to be said, or said again.
    due: bool,
}

impl State {
    /// A gateway's: tells the device of a key that it shall use from the next handshake on.
    pub(super) fn announce_key(&mut self, key: GatewayPublic) {
        if self.identity.is_none() && matches!(self.keys, Keys::Sealed(_)) {
            self.key_news = Some(KeyNews { key, due: true });
        }
    }

    /// Whether this end may be told a key: a device that knows its gateway by one.
    pub(super) fn takes_gateway_key(&self) -> bool {
        self.credentials().is_some_and(|credentials| credentials.pattern() == Pattern::NkPsk0)
    }

    /// A device was told a key.
    pub(super) fn on_gateway_key(&mut self, key: &[u8; 32]) {
        let key = GatewayPublic::new(*key);
        let Some(credentials) = self.identity.as_mut().and_then(|identity| identity.credentials.as_mut()) else {
            return;
        };
        if credentials.learn(key, self.hello.second) {
            self.hello.second = false;
            self.key_news = Some(KeyNews { key, due: true });
        }
    }

    pub(super) fn poll_gateway_key(&mut self) -> Option<Event> {
        self.identity.as_ref()?;
        let news = self.key_news.take()?;
        Some(Event::GatewayKey { key: news.key })
    }

    /// Whether the key is to be said to the device.
    pub(super) fn has_key_to_say(&self) -> bool {
        self.identity.is_none() && self.key_news.is_some_and(|news| news.due)
    }

    /// The packet that said it was lost.
    pub(super) fn say_key_again(&mut self) {
        if let Some(news) = &mut self.key_news {
            news.due = true;
        }
    }
}

impl Engine<'_> {
    pub(super) fn put_gateway_key(&mut self, w: &mut Writer<'_>, built: &mut Built) {
        if !self.st.has_key_to_say() {
            return;
        }
        if let Some(news) = &mut self.st.key_news
            && emit_gateway_key(news.key.as_bytes(), w).is_ok()
        {
            news.due = false;
            built.control.key = true;
            built.eliciting = true;
        }
    }
}

//! What an application has to send, and how it goes about it.

use crate::memory::Store;
use firmware_sim::link::{Rng, below};
use rand::RngCore;
use whimbrel_core::{ChannelId, Duration, Instant, MessageId, Priority, SendError, SendOptions, Session};

/// Messages of one channel.
#[derive(Clone, Debug)]
pub struct Source {
    /// On which channel.
    pub channel: ChannelId,
    /// How many there will be.
    pub left: u32,
    /// So many at once, and then nothing for `every`.
    pub burst: u32,
    /// Zero: as fast as the session takes them.
    pub every: Duration,
    /// The next burst is due at this time of the world.
    pub due: Instant,
    /// The shortest and the longest, in bytes.
    pub sizes: (usize, usize),
    /// How long a message is of use: the shortest and the longest time.
    pub lifetimes: Option<(Duration, Duration)>,
    /// One message in so many is urgent; 0: none.
    pub urgent: u64,
    /// The session said `Full`, and not `QueueFreed` since.
    blocked: bool,
    /// Refused by `Full`: the application keeps it.
    held: Option<(SendOptions, Vec<u8>)>,
    /// Still to come of the burst that has begun.
    rest: u32,
}

impl Source {
    /// So many messages, as fast as the session takes them.
    pub fn greedy(channel: ChannelId, left: u32, sizes: (usize, usize)) -> Self {
        let (due, every) = (Instant::ZERO, Duration::ZERO);
        Self {
            channel,
            left,
            burst: 1,
            every,
            due,
            sizes,
            lifetimes: None,
            urgent: 0,
            blocked: false,
            held: None,
            rest: 0,
        }
    }

    /// In bursts, with nothing in between for `every`, from `due` on.
    pub fn periodic(self, burst: u32, every: Duration, due: Instant) -> Self {
        Self { burst, every, due, ..self }
    }

    /// The application has no more than what the session refused, and what is sent as fast as it can be.
    pub fn stop(&mut self) {
        if self.every > Duration::ZERO {
            self.left = u32::from(self.held.is_some());
        }
    }

    /// The next message, when one is due.
    fn next(&mut self, now: Instant, rng: &mut Rng) -> Option<(SendOptions, Vec<u8>)> {
        if self.left == 0 || self.blocked {
            return None;
        }
        if self.rest == 0 {
            if self.due > now {
                return None;
            }
            self.rest = self.burst.max(1);
            if self.every > Duration::ZERO {
                // What a sleeping device missed comes in one burst.
                let missed = now.saturating_since(self.due).as_micros() / self.every.as_micros();
                self.rest = self.rest.saturating_mul(1 + missed as u32);
                self.due = now + self.every;
            }
        }
        Some(self.held.take().unwrap_or_else(|| {
            let (shortest, longest) = self.sizes;
            let len = shortest + below(rng, (longest - shortest + 1) as u64) as usize;
            let mut payload = vec![0; len];
            rng.fill_bytes(&mut payload);
            (self.options(rng), payload)
        }))
    }
}

impl Source {
    /// Draws nothing where there is no choice.
    fn options(&self, rng: &mut Rng) -> SendOptions {
        let lifetime = self.lifetimes.map(|(shortest, longest)| {
            let spread = longest.saturating_sub(shortest).as_micros();
            shortest.saturating_add(Duration::from_micros(below(rng, spread + 1)))
        });
        let urgent = self.urgent > 0 && below(rng, self.urgent) == 0;
        SendOptions { lifetime, priority: urgent.then_some(Priority::Urgent) }
    }
}

/// A message that a session accepted.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its name.
    pub id: MessageId,
    /// Its contents.
    pub payload: Vec<u8>,
    /// The time after which it is of no use, by the sender's clock.
    pub deadline: Option<Instant>,
}

/// All that an application has to send.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// By channel, or more than one a channel.
    pub sources: Vec<Source>,
    /// Times that a session said `Full`.
    pub refused: u64,
}

impl Load {
    /// `count` more messages for the channel, as fast as the session takes them.
    pub fn add(&mut self, channel: ChannelId, count: u32, sizes: (usize, usize)) {
        let is_plain = |source: &&mut Source| {
            source.channel == channel && source.every == Duration::ZERO && source.lifetimes.is_none()
        };
        match self.sources.iter_mut().find(is_plain) {
            Some(source) => source.left += count,
            None => self.sources.push(Source::greedy(channel, count, sizes)),
        }
    }

    /// Messages that no session took yet.
    pub fn left(&self) -> u32 {
        self.sources.iter().map(|source| source.left).sum()
    }

    /// There may be room again.
    pub fn unblock(&mut self) {
        self.sources.iter_mut().for_each(|source| source.blocked = false);
    }

    /// The session died, and what it had accepted with it.
    pub fn restart(&mut self) {
        self.unblock();
    }

    /// When more is due that the session is not known to refuse.
    pub fn due(&self) -> Option<Instant> {
        self.sources.iter().filter(|source| source.left > 0 && !source.blocked).map(|source| source.due).min()
    }

    /// Sends the next message that is due and that the session takes. `local`: the time of the session.
    ///
    /// # Errors
    /// What no application of this world should meet.
    pub fn send(
        &mut self,
        session: &mut Session<Store>,
        now: Instant,
        local: Instant,
        rng: &mut Rng,
    ) -> Result<Option<Sent>, String> {
        for source in &mut self.sources {
            let Some((options, mut payload)) = source.next(now, rng) else { continue };
            let mut result = session.send_with(local, source.channel, options, &payload);
            if let Err(SendError::TooLong { max }) = result {
                payload.truncate(max);
                result = session.send_with(local, source.channel, options, &payload);
            }
            match result {
                Ok(id) => {
                    source.left -= 1;
                    source.rest = source.rest.saturating_sub(1);
                    let deadline = options.lifetime.map(|lifetime| local + lifetime);
                    return Ok(Some(Sent { id, payload, deadline }));
                }
                Err(SendError::Full) => {
                    source.blocked = true;
                    source.held = Some((options, payload));
                    self.refused += 1;
                }
                Err(error) => return Err(format!("{} bytes on {:?}: {error}", payload.len(), source.channel)),
            }
        }
        Ok(None)
    }
}

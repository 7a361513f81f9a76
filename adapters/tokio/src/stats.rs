//! Counters of an endpoint, by reason, summed over its shards and sessions.

use whimbrel_core::Stats;

/// A plain struct of counters that can be added up.
macro_rules! counters {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: u64,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name { $($(#[$doc])* pub $field: u64,)* }

        impl $name {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.wrapping_add(other.$field);)*
            }
        }
    };
}

counters! {
    /// What an endpoint counted since it was bound. All but the first three only grow.
    pub struct EndpointStats {
        /// Sessions now that are established.
        pub sessions: u64,
        /// Handshakes now that await the application or the device's first packet.
        pub handshakes: u64,
        /// Sources now whose strikes are remembered.
        pub sources_watched: u64,
        /// Sessions that became established.
        pub sessions_established: u64,
        /// Sessions that gave way to a newer one of the same device.
        pub sessions_superseded: u64,
        /// Sessions dropped because nothing came for too long.
        pub sessions_idle: u64,
        /// Sessions that the device, or shutting down, closed.
        pub sessions_closed: u64,
        /// Handshakes dropped because the device's first packet did not come in time.
        pub handshakes_timed_out: u64,
        /// Handshakes that the application refused.
        pub handshakes_refused: u64,
        /// Messages given to the application.
        pub readings: u64,
        /// Times that messages stayed with their session because the application had no room.
        pub readings_deferred: u64,
        /// Times that messages stayed with their session because the device sent too much.
        pub readings_limited: u64,
        /// Times that messages stayed with their session because too many of them waited for the application.
        pub readings_waiting: u64,
        /// Sessions that the application ended.
        pub sessions_disconnected: u64,
        /// Datagrams from the sockets.
        pub rx_datagrams: u64,
        /// Bytes in them.
        pub rx_bytes: u64,
        /// Datagrams handed to the shard that owns their session.
        pub rx_forwarded: u64,
        /// Dropped: that shard had no room.
        pub rx_forward_full: u64,
        /// Dropped unseen: from a source that the lists deny.
        pub rx_denied: u64,
        /// Dropped unseen: from a source that is blocked.
        pub rx_blocked: u64,
        /// Datagrams that nobody honest sends.
        pub strikes: u64,
        /// Times that a source was blocked for its strikes.
        pub sources_blocked: u64,
        /// Dropped before any session: ended before their contents did.
        pub rx_truncated: u64,
        /// Dropped before any session: not what the protocol allows.
        pub rx_malformed: u64,
        /// Dropped before any session: a version that we do not speak.
        pub rx_version: u64,
        /// Dropped before any session: packets for a device, or from an address that cannot be answered.
        pub rx_unexpected: u64,
        /// Packets of connections that we do not know.
        pub rx_unknown_connection: u64,
        /// Requests for a session that repeat one being answered.
        pub hello_repeated: u64,
        /// Requests dropped because there was no room for another session or handshake.
        pub hello_no_room: u64,
        /// Requests dropped because too many sessions are from that network.
        pub hello_prefix_full: u64,
        /// Requests dropped because too many a second come from that network.
        pub hello_prefix_limited: u64,
        /// Requests dropped because too many a second come in all.
        pub hello_limited: u64,
        /// Requests dropped because they are sealed and this endpoint is not, or the other way round.
        pub hello_protection: u64,
        /// Requests dropped unseen: too many MACs to look at.
        pub hello_unseen: u64,
        /// Requests dropped: of a device that is not in the directory.
        pub hello_unknown_device: u64,
        /// Requests dropped: not made with the device's key.
        pub hello_unauthentic: u64,
        /// Requests with a counter that was used before, a replay or a device that lost count; answered with COUNTER_LOW.
        pub hello_counter_low: u64,
        /// Requests that came too fast without proof of their address; answered with COOKIE.
        pub hello_cookies: u64,
        /// Requests dropped: of the device, but not for a key of this gateway, or not well formed inside.
        pub hello_unopened: u64,
        /// Answers to requests of a version that we do not speak.
        pub versions_refused: u64,
        /// Answers to packets of unknown connections.
        pub resets_sent: u64,
        /// Answers of these two kinds withheld by the rate limit.
        pub resets_limited: u64,
        /// Datagrams given to the sockets.
        pub tx_datagrams: u64,
        /// Bytes in them.
        pub tx_bytes: u64,
        /// Datagrams that a socket would not take, or whose path was forgotten.
        pub tx_failed: u64,
        /// In sessions: datagrams sent.
        pub session_tx_datagrams: u64,
        /// In sessions: probe timeouts.
        pub session_tx_probes: u64,
        /// In sessions: packets declared lost.
        pub session_tx_packets_lost: u64,
        /// In sessions: messages sent for the first time.
        pub session_tx_messages: u64,
        /// In sessions: messages sent once more.
        pub session_tx_retransmitted: u64,
        /// In sessions: datagrams handed in.
        pub session_rx_datagrams: u64,
        /// Dropped before their session saw them: the device sends too much. They come again.
        pub session_rx_limited: u64,
        /// In sessions: messages that had arrived before.
        pub session_rx_duplicate_messages: u64,
        /// In sessions, dropped: ended before their contents did.
        pub session_rx_truncated: u64,
        /// In sessions, dropped: too long.
        pub session_rx_oversized: u64,
        /// In sessions, dropped: corrupted, or of another session.
        pub session_rx_unauthentic: u64,
        /// In sessions, dropped: a packet number seen before.
        pub session_rx_replayed: u64,
        /// In sessions, dropped: too old to tell.
        pub session_rx_too_old: u64,
        /// In sessions, dropped: authentic but malformed.
        pub session_rx_malformed: u64,
        /// In sessions, dropped: not expected in the session's state.
        pub session_rx_unexpected: u64,
        /// In sessions, dropped: another version.
        pub session_rx_version: u64,
        /// In sessions, not taken now: no room in the reorder buffer. They come again.
        pub session_rx_no_room: u64,
        /// In sessions: steps back of the clock.
        pub clock_steps_back: u64,
    }
}

impl EndpointStats {
    /// Datagrams dropped, for whatever reason, before or in a session. Repeats of a handshake and
    /// packets that found no room are not faults of the peer, but count here too.
    pub const fn rx_dropped(&self) -> u64 {
        self.rx_forward_full
            + self.rx_denied
            + self.rx_blocked
            + self.rx_truncated
            + self.rx_malformed
            + self.rx_version
            + self.rx_unexpected
            + self.rx_unknown_connection
            + self.hello_repeated
            + self.hello_no_room
            + self.hello_prefix_full
            + self.hello_prefix_limited
            + self.hello_limited
            + self.hello_protection
            + self.hello_unseen
            + self.hello_unknown_device
            + self.hello_unauthentic
            + self.hello_counter_low
            + self.hello_cookies
            + self.hello_unopened
            + self.session_rx_limited
            + self.session_rx_truncated
            + self.session_rx_oversized
            + self.session_rx_unauthentic
            + self.session_rx_replayed
            + self.session_rx_too_old
            + self.session_rx_malformed
            + self.session_rx_unexpected
            + self.session_rx_version
            + self.session_rx_no_room
    }

    /// Adds what a session counted since `before`.
    pub(crate) fn add_session(&mut self, now: &Stats, before: &Stats) {
        let grown = |sum: &mut u64, now: u32, before: u32| *sum += u64::from(now.wrapping_sub(before));
        let (drop_now, drop_before) = (&now.rx_dropped, &before.rx_dropped);
        grown(&mut self.session_tx_datagrams, now.tx_datagrams, before.tx_datagrams);
        grown(&mut self.session_tx_probes, now.tx_probes, before.tx_probes);
        grown(&mut self.session_tx_packets_lost, now.tx_packets_lost, before.tx_packets_lost);
        grown(&mut self.session_tx_messages, now.tx_messages, before.tx_messages);
        grown(&mut self.session_tx_retransmitted, now.tx_retransmitted, before.tx_retransmitted);
        grown(&mut self.session_rx_datagrams, now.rx_datagrams, before.rx_datagrams);
        grown(&mut self.session_rx_duplicate_messages, now.rx_duplicate_messages, before.rx_duplicate_messages);
        grown(&mut self.session_rx_truncated, drop_now.truncated, drop_before.truncated);
        grown(&mut self.session_rx_oversized, drop_now.oversized, drop_before.oversized);
        grown(&mut self.session_rx_unauthentic, drop_now.unauthentic, drop_before.unauthentic);
        grown(&mut self.session_rx_replayed, drop_now.replayed, drop_before.replayed);
        grown(&mut self.session_rx_too_old, drop_now.too_old, drop_before.too_old);
        grown(&mut self.session_rx_malformed, drop_now.malformed, drop_before.malformed);
        grown(&mut self.session_rx_unexpected, drop_now.unexpected, drop_before.unexpected);
        grown(&mut self.session_rx_version, drop_now.version, drop_before.version);
        grown(&mut self.session_rx_no_room, drop_now.no_room, drop_before.no_room);
        grown(&mut self.clock_steps_back, now.clock_steps_back, before.clock_steps_back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_wrapped_in_a_session_keeps_growing_in_the_sum() {
        let (mut before, mut now) = (Stats::default(), Stats::default());
        before.rx_dropped.replayed = u32::MAX;
        now.rx_dropped.replayed = 2;
        let mut sum = EndpointStats::default();
        sum.add_session(&now, &before);
        assert_eq!(sum.session_rx_replayed, 3);
        assert_eq!(sum.rx_dropped(), 3);
    }
}

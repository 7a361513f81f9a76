//! A shard's task: waits, takes a turn, waits.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::delivery::Inbox;
use super::{Downlink, Forwarded, Inputs, Shard};
use crate::event::GatewayEvent;
use crate::limits::Refusal;
use crate::socket::Socket;

/// Batches taken from the socket in one turn.
const BATCHES: usize = 4;
/// Datagrams from other shards, and downlink messages, taken in one turn.
const INPUTS: usize = 256;
/// Times that the sessions are pumped and the socket is filled in one turn.
const ROUNDS: usize = 8;

/// A shard's life: ends when it was told to shut down and nothing is left to say.
pub(crate) async fn run(mut shard: Shard, mut inputs: Inputs) {
    let events = inputs.events.clone();
    let mailbox = Arc::clone(&shard.links.mailbox);
    let mut timer = pin!(tokio::time::sleep(core::time::Duration::ZERO));
    // Nobody listens any more: messages stay with the devices.
    let mut deaf = false;
    let mut more = false;
    loop {
        let (mut permit, mut forwarded, mut downlink) = (None, None, None);
        let deadline = shard.timers.next();
        if let Some(at) = deadline {
            timer.as_mut().reset(inputs.clock.runtime(at));
        }
        let owes = !shard.deferred.is_empty() || !shard.ended.is_empty();
        tokio::select! {
            // There is more to do; the others get their turn on this core all the same.
            () = tokio::task::yield_now(), if more => {}
            _ = inputs.socket.readable() => {}
            _ = inputs.socket.writable(), if !shard.outgoing.is_empty() => {}
            () = mailbox.posted() => {}
            datagram = inputs.forwarded.recv() => forwarded = datagram,
            message = inputs.downlinks.recv() => downlink = message,
            room = events.reserve(), if owes && !deaf => match room {
                Ok(room) => permit = Some(room),
                Err(_) => deaf = true,
            },
            () = &mut timer, if deadline.is_some() => {}
        }
        more = turn(&mut shard, &mut inputs, &events, permit, forwarded, downlink);
        if shard.closing && shard.table.is_empty() && shard.outgoing.is_empty() {
            return;
        }
    }
}

/// One round over everything that may have happened. Returns whether it stopped at a bound.
fn turn(
    shard: &mut Shard,
    inputs: &mut Inputs,
    events: &mpsc::Sender<GatewayEvent>,
    permit: Option<mpsc::Permit<'_, GatewayEvent>>,
    forwarded: Option<Forwarded>,
    downlink: Option<Downlink>,
) -> bool {
    // Room is taken before the messages are: what is taken from a session must not be dropped.
    let permit = permit.or_else(|| events.try_reserve().ok());
    let mut inbox = shard.begin(inputs.clock.now(), permit.is_some());
    let queued = core::iter::from_fn(|| inputs.forwarded.try_recv().ok());
    for mut datagram in forwarded.into_iter().chain(queued).take(INPUTS) {
        shard.on_forwarded(datagram.path, &mut datagram.bytes, &mut inbox, events);
    }
    let queued = core::iter::from_fn(|| inputs.downlinks.try_recv().ok());
    for message in downlink.into_iter().chain(queued).take(INPUTS) {
        shard.on_downlink(message);
    }
    let more = receive(shard, &mut inputs.socket, &mut inbox, events);
    shard.on_timers(&mut inbox);

    let blocked = pump(shard, &inputs.socket, &mut inbox);
    let more = shard.finish(inbox, permit, events) || more;
    more || (!blocked && !shard.dirty.is_empty())
}

/// Takes a few batches from the socket. Returns whether there may be more.
fn receive(shard: &mut Shard, socket: &mut Socket, inbox: &mut Inbox, events: &mpsc::Sender<GatewayEvent>) -> bool {
    for _ in 0..BATCHES {
        match socket.receive(|path, bytes| shard.on_datagram(path, bytes, inbox, events)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => {
                if let Some(count) = shard.reports.note(Refusal::Socket, shard.now) {
                    tracing::warn!(%error, count, "{}", Refusal::Socket.reason());
                }
                return false;
            }
        }
    }
    true
}

/// Pumps the touched sessions and sends, until nothing is left, the socket is full or the turn is
/// long enough. Returns whether the socket is full.
fn pump(shard: &mut Shard, socket: &Socket, inbox: &mut Inbox) -> bool {
    for _ in 0..ROUNDS {
        shard.pump_dirty(inbox);
        if shard.closing {
            shard.take_leave(inbox);
        }
        let sent = socket.flush(&mut shard.outgoing);
        shard.stats.tx_datagrams += sent.datagrams;
        shard.stats.tx_bytes += sent.bytes;
        shard.stats.tx_failed += sent.failed;
        if !shard.outgoing.is_empty() {
            return true;
        }
        if shard.dirty.is_empty() {
            return false;
        }
    }
    false
}

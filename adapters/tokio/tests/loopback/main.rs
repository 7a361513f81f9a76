//! Clients and an endpoint over real sockets on the loopback interface. Every test is bounded in time.

mod backpressure;
mod collector;
mod downlink;
mod farewell;
mod garbage;
mod handshake;
mod in_order;
mod limits;
mod replay;
mod restart;
mod roaming;
#[cfg(target_os = "linux")]
mod spoofer;

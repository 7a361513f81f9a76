//! A device and a gateway over a line that loses, spoils and makes up bytes: 500 messages, each exactly once and
//! in order, by both faces.

mod async_face;
mod peers;
mod pipe;
mod sync_face;

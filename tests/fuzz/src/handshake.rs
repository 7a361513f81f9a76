//! Handshake packets: as they come, and with the check made right, so that it does not hide what is behind it.

use whimbrel_core::wire::{
    Accept, AcceptFields, HelloFields, Offer, Protection, REFUSE_LEN, Refuse, Reset, crc, emit_accept, emit_hello,
    is_intact,
};
use whimbrel_core::{CloseReason, Hello, refuse};

/// What parses is canonical, whole, and of one kind.
pub fn run(bytes: &[u8]) {
    check(bytes);
    let mut sealed = bytes.to_vec();
    sealed.extend(crc::crc32(bytes).to_le_bytes());
    assert!(is_intact(&sealed));
    check(&sealed);
}

fn check(datagram: &[u8]) {
    let hello = Hello::parse(datagram);
    let sealed = hello.is_ok_and(|hello| hello.protection() != Protection::Plain);
    let hello = hello.ok().and_then(|hello| hello.plain()).inspect(|offer| check_hello(offer, datagram)).is_some();
    let accept = Accept::parse(datagram).inspect(|accept| check_accept(accept, datagram)).is_ok();
    let refusal = Refuse::parse(datagram).inspect(|refusal| assert!(refusal.lowest <= refusal.highest)).is_ok();
    let reset = Reset::parse(datagram).is_ok();
    let kinds = [hello, accept, refusal, reset].into_iter().filter(|is| *is).count();
    assert!(kinds <= 1 && !(sealed && kinds > 0) && (kinds == 0 || is_intact(datagram)));
}

fn check_hello(hello: &Offer<'_>, datagram: &[u8]) {
    let fields = HelloFields {
        device: hello.device(),
        nonce: hello.id(),
        boot_epoch: hello.boot_epoch(),
        reply_cid: hello.reply_cid(),
        limits: hello.limits(),
    };
    assert!(hello.streams().all(|stream| stream.base <= stream.next));
    assert!(hello.streams().is_sorted_by(|a, b| a.id < b.id));
    let mut buf = vec![0; datagram.len()];
    let len = emit_hello(&fields, hello.streams(), &mut buf).expect("as long as it was");
    assert_eq!(&buf[..len], datagram);
    let mut answer = [0; REFUSE_LEN];
    let len = refuse(hello, CloseReason::Refused, &mut answer).expect("room for a refusal");
    assert!(len < datagram.len());
    assert_eq!(Refuse::parse(&answer).map(|refusal| refusal.echo), Ok(hello.id()));
}

fn check_accept(accept: &Accept<'_>, datagram: &[u8]) {
    let fields =
        AcceptFields { echo: accept.echo(), nonce: accept.nonce(), cid: accept.cid(), limits: accept.limits() };
    assert!(accept.offered().all(|stream| stream.epoch.is_some()));
    let mut buf = vec![0; datagram.len()];
    let len = emit_accept(&fields, accept.streams(), accept.offered(), &mut buf).expect("as long as it was");
    assert_eq!(&buf[..len], datagram);
}

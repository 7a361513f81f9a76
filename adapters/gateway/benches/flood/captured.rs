//! Genuine HELLOs of former boots, as one on the path would have kept them.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;

use whimbrel_gateway::registry::Provisioned;

use crate::place::{Place, hello};

/// The first byte of an ACCEPT.
const ACCEPT: u8 = 0x90;
const PATIENCE: Duration = Duration::from_secs(10);

/// Has each device boot so many times. Every HELLO was good once: the gateway answered it with ACCEPT.
pub(crate) async fn former_boots(place: &Place, boots: u32) -> Vec<Vec<u8>> {
    let (devices, gateway) = (place.devices.clone(), place.address());
    let all = move || {
        let every = (1..=boots).flat_map(|boot| devices.iter().map(move |device| (device, boot)));
        every.map(|(device, boot)| boot_once(device, boot, gateway)).collect()
    };
    tokio::task::spawn_blocking(all).await.unwrap()
}

fn boot_once(device: &Provisioned, boot: u32, gateway: SocketAddr) -> Vec<u8> {
    let hello = hello(device, boot);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&hello, gateway).unwrap();
    let mut answer = [0; 2048];
    socket.recv(&mut answer).expect("an answer");
    assert_eq!(answer[0], ACCEPT, "the HELLO of boot {boot} was good");
    hello
}

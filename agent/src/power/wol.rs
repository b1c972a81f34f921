//! The packet that wakes a machine: six bytes of ones, its hardware address sixteen times, and a SecureOn password where
//! its card wants one (AMD publication 20213, "Magic Packet Technology"). Cards look for it anywhere in a frame; it is
//! sent as UDP to port 9, where nobody listens.

use std::net::{Ipv4Addr, SocketAddrV4};

use maekin_api::power::{Action, Done, Power};
use tokio::net::UdpSocket;

use super::errors::BmcError;
use super::settings::Wake;

/// Discard, RFC 863.
const PORT: u16 = 9;
/// Datagrams get lost, and a card that is awake takes no harm from another.
const COPIES: usize = 3;

/// The packet. Pure.
pub(super) fn packet(wake: &Wake) -> Vec<u8> {
    [&[0xff; 6], wake.mac.repeat(16).as_slice(), &wake.password.0].concat()
}

/// Wakes the machine; of the actions, only those that a packet can do.
///
/// # Errors
/// [`BmcError::Cannot`], [`BmcError::Local`].
pub(super) async fn act(wake: &Wake, default_interface: &str, action: Action) -> Result<Done, BmcError> {
    let outcome = match action {
        Action::On => "a packet to wake it was sent; nobody tells whether it woke",
        Action::Netboot => {
            "a packet to wake it was sent; whether it boots from the network is its firmware's boot order's to say"
        }
        Action::Status | Action::Off | Action::Cycle => {
            return Err(BmcError::Cannot(format!(
                "Wake-on-LAN can switch a machine on and nothing else, so `{action}` is not possible; set it up with its management controller (IPMI or Redfish)"
            )));
        }
    };
    let interface = if wake.interface.is_empty() { default_interface } else { &wake.interface };
    send(wake, interface).await.map_err(|e| {
        BmcError::Local(format!("the packet could not be sent on interface `{interface}`: {e}"))
    })?;
    Ok(Done {
        power: Power::Unknown,
        outcome: format!("{outcome} (interface {interface}, {})", wake.broadcast),
    })
}

async fn send(wake: &Wake, interface: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.set_broadcast(true)?;
    if !interface.is_empty() {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    let packet = packet(wake);
    for _ in 0..COPIES {
        socket.send_to(&packet, SocketAddrV4::new(wake.broadcast, PORT)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

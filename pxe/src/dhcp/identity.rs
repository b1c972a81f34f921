//! Who a client is: its hardware address, and all that a reservation may know it by.

use super::options;
use super::packet::Packet;
use super::relay::{Relay, parse_relay};
use crate::hw::HwAddr;

/// A client as its packet shows it.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// Its hardware address: what its leases are kept by.
    pub hw: HwAddr,
    /// Option 61.
    pub client_id: Option<&'a [u8]>,
    /// The UUID of its SMBIOS as option 97 has it, or as `chaddr` where firmware puts it there; never a blank one.
    pub uuid: Option<[u8; 16]>,
    /// Option 82.
    pub relay: Relay<'a>,
}

impl<'a> Who<'a> {
    /// The sender of `packet`.
    #[must_use]
    pub fn of(packet: &Packet<'a>) -> Self {
        let told = packet.option(options::MACHINE_ID).and_then(options::machine_guid);
        Self {
            hw: packet.hw,
            client_id: packet.option(options::CLIENT_ID),
            uuid: told.or_else(|| packet.hw.as_bytes().try_into().ok()),
            relay: packet.option(options::RELAY).map(parse_relay).unwrap_or_default(),
        }
    }

    /// The hardware address under which firmware with `SendGUID` asked, when this is the same machine's next stage.
    #[must_use]
    pub fn earlier_stage(&self) -> Option<HwAddr> {
        self.uuid.and_then(|uuid| HwAddr::new(&uuid)).filter(|earlier| *earlier != self.hw)
    }
}

impl From<HwAddr> for Who<'_> {
    fn from(hw: HwAddr) -> Self {
        Self { hw, client_id: None, uuid: None, relay: Relay::default() }
    }
}

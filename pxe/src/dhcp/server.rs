//! The DHCP server as a function: a packet, the leases and the time in; an answer, or none with a reason, out.
//! RFC 2131 section 4.3. How an answer is written is in the module beside this one, what a client shall boot in
//! [`crate::boot`].

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::answer::{Answer, echo};
use super::lease::{Refusal, Seconds, State};
use super::leases::Leases;
use super::options::{self, MessageType};
use super::packet::{BOOTREQUEST, Message, Packet, TooLong, Writer};
use crate::boot::Boot;
use crate::hw::HwAddr;

/// Port servers listen on.
pub const SERVER_PORT: u16 = 67;
/// Port clients listen on.
pub const CLIENT_PORT: u16 = 68;

/// What the server hands out. Everything but the addresses themselves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our address on the provisioning network: server identifier, TFTP server.
    pub server: Ipv4Addr,
    /// Its prefix length.
    pub prefix: u8,
    /// Option 3.
    pub router: Option<Ipv4Addr>,
    /// Option 6.
    pub dns: Vec<Ipv4Addr>,
    /// Option 15.
    pub domain: Option<String>,
    /// Option 42.
    pub ntp: Vec<Ipv4Addr>,
    /// Option 26.
    pub mtu: Option<u16>,
    /// Option 12, by client.
    pub names: HashMap<HwAddr, String>,
    /// Length of a lease.
    pub lease: Seconds,
    /// Port of our HTTP server.
    pub http_port: u16,
}

impl Settings {
    pub(super) fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// Whether `ip` is on the provisioning network.
    #[must_use]
    pub fn on_link(&self, ip: Ipv4Addr) -> bool {
        (ip.to_bits() ^ self.server.to_bits()) & self.mask() == 0
    }

    /// Where our HTTP server is, without a slash at the end.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}:{}", self.server, self.http_port)
    }
}

/// An answer and where it goes.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its kind.
    pub kind: MessageType,
    /// What goes on the wire.
    pub message: Message,
    /// Where to.
    pub to: SocketAddrV4,
    /// The address given, or confirmed.
    pub ip: Ipv4Addr,
    /// What the client was told to boot.
    pub boot: Boot,
}

/// Why a message got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// An answer of another server's, or nonsense.
    #[error("not a client's message")]
    NotARequest,
    /// A relay agent on a network we do not serve.
    #[error("relayed from a network that is not served")]
    Relay,
    /// The client took another server's offer.
    #[error("the client took another server's offer")]
    OtherServer,
    /// No address is left.
    #[error("no address is left in the pool; enlarge it, or reserve one for this machine")]
    Exhausted,
    /// RFC 2131 section 4.3.2: a server that does not know the client stays silent.
    #[error("an address was claimed that this server knows nothing of")]
    Unknown,
    /// RELEASE and DECLINE are not answered.
    #[error("no answer is due")]
    Done,
    /// The answer would not fit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Answers one packet. The caller makes the leases' records durable before it sends an ACK.
///
/// # Errors
/// [`Silence`]: the reason why there is no answer.
pub fn handle(
    leases: &mut Leases,
    settings: &Settings,
    now: Seconds,
    packet: &Packet<'_>,
) -> Result<Reply, Silence> {
    if packet.op != BOOTREQUEST {
        return Err(Silence::NotARequest);
    }
    if !packet.giaddr.is_unspecified() && !settings.on_link(packet.giaddr) {
        return Err(Silence::Relay);
    }
    let ours = packet.option_ip(options::SERVER_ID).is_none_or(|id| id == settings.server);
    match packet.kind {
        MessageType::Discover => discover(leases, settings, now, packet),
        MessageType::Request => request(leases, settings, now, packet),
        MessageType::Inform => inform(settings, packet),
        MessageType::Release if ours => {
            leases.release(packet.hw, packet.ciaddr, now);
            Err(Silence::Done)
        }
        MessageType::Decline if ours => {
            if let Some(ip) = packet.option_ip(options::REQUESTED_IP)
                && leases.decline(packet.hw, ip, now)
            {
                tracing::warn!(client = %packet.hw, %ip, "address is in use by somebody else; it is set aside");
            }
            Err(Silence::Done)
        }
        MessageType::Release | MessageType::Decline => Err(Silence::OtherServer),
        MessageType::Offer | MessageType::Ack | MessageType::Nak => Err(Silence::NotARequest),
    }
}

fn discover(
    leases: &mut Leases,
    settings: &Settings,
    now: Seconds,
    packet: &Packet<'_>,
) -> Result<Reply, Silence> {
    let wanted = packet.option_ip(options::REQUESTED_IP);
    let ip = leases.offer(packet.hw, wanted, now).ok_or(Silence::Exhausted)?;
    Answer { settings, packet, ip, lease: Some(settings.lease) }.write(MessageType::Offer)
}

/// The four forms of REQUEST, told apart as RFC 2131 table 4 does.
fn request(
    leases: &mut Leases,
    settings: &Settings,
    now: Seconds,
    packet: &Packet<'_>,
) -> Result<Reply, Silence> {
    let wanted = packet.option_ip(options::REQUESTED_IP);
    match (packet.option_ip(options::SERVER_ID), wanted) {
        (Some(id), _) if id != settings.server => {
            leases.withdraw(packet.hw, now);
            Err(Silence::OtherServer)
        }
        // SELECTING. A client that puts its address into ciaddr instead of option 50 is understood.
        (Some(_), wanted) => {
            let ip = wanted.unwrap_or(packet.ciaddr);
            match leases.bind(packet.hw, ip, settings.lease, now) {
                Ok(()) => grant(settings, packet, ip),
                Err(why) => nak(settings, packet, why),
            }
        }
        // INIT-REBOOT.
        (None, Some(ip)) => {
            if !settings.on_link(ip) && packet.giaddr.is_unspecified() {
                return nak(settings, packet, Refusal::NotOurs);
            }
            confirm(leases, settings, now, packet, ip)
        }
        // RENEWING (unicast) and REBINDING (broadcast). A journal that was lost is no reason to take a running
        // machine's address away: an address of the pool that nobody else has is confirmed.
        (None, None) if !packet.ciaddr.is_unspecified() => {
            match leases.bind(packet.hw, packet.ciaddr, settings.lease, now) {
                Ok(()) => grant(settings, packet, packet.ciaddr),
                Err(Refusal::NotOurs) => Err(Silence::Unknown),
                Err(why) => nak(settings, packet, why),
            }
        }
        (None, None) => Err(Silence::Unknown),
    }
}

fn confirm(
    leases: &mut Leases,
    settings: &Settings,
    now: Seconds,
    packet: &Packet<'_>,
    ip: Ipv4Addr,
) -> Result<Reply, Silence> {
    match leases.lease(packet.hw) {
        None => Err(Silence::Unknown),
        Some(lease) if lease.ip != ip && lease.state != State::Past => nak(settings, packet, Refusal::Taken),
        Some(_) => match leases.bind(packet.hw, ip, settings.lease, now) {
            Ok(()) => grant(settings, packet, ip),
            Err(why) => nak(settings, packet, why),
        },
    }
}

fn inform(settings: &Settings, packet: &Packet<'_>) -> Result<Reply, Silence> {
    if packet.ciaddr.is_unspecified() || !settings.on_link(packet.ciaddr) {
        return Err(Silence::Unknown);
    }
    Answer { settings, packet, ip: packet.ciaddr, lease: None }.write(MessageType::Ack)
}

fn grant(settings: &Settings, packet: &Packet<'_>, ip: Ipv4Addr) -> Result<Reply, Silence> {
    Answer { settings, packet, ip, lease: Some(settings.lease) }.write(MessageType::Ack)
}

/// RFC 2131 table 3: a NAK carries nothing but its reason, and is broadcast, since the client's address is wrong.
fn nak(settings: &Settings, packet: &Packet<'_>, why: Refusal) -> Result<Reply, Silence> {
    let mut writer = Writer::reply(packet, MessageType::Nak);
    writer.option(options::SERVER_ID, &settings.server.octets());
    writer.option(options::MESSAGE, why.to_string().as_bytes());
    echo(&mut writer, packet);
    let relayed = !packet.giaddr.is_unspecified();
    writer.set_broadcast(relayed || packet.broadcast);
    let to = match relayed {
        true => SocketAddrV4::new(packet.giaddr, SERVER_PORT),
        false => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
    };
    let ip = packet.option_ip(options::REQUESTED_IP).unwrap_or(packet.ciaddr);
    Ok(Reply { kind: MessageType::Nak, message: writer.finish()?, to, ip, boot: Boot::Nothing })
}

#[cfg(test)]
mod tests;

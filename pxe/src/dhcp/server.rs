//! The DHCP server as a function: a packet, the leases and the time in; an answer, or none with a reason, out.
//! RFC 2131 section 4.3. How an answer is written is in the module beside this one, what a client shall boot in
//! [`crate::boot`].

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use super::answer::{Answer, echo};
use super::cidr::Cidr;
use super::identity::Who;
use super::lease::{Refusal, Seconds, State};
use super::leases::Leases;
use super::options::{self, MessageType};
use super::packet::{BOOTREQUEST, Message, Packet, TooLong, Writer};
use super::proxy::{ProxyLoader, ProxyStyle};
use super::relay::Relay;
use super::reserve::Reservations;
use super::told::Subnet;
use crate::boot::Boot;
use crate::config::V6;

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
    /// The networks in the order of the plan: that of our own interface, then those behind relay agents.
    pub subnets: Vec<Subnet>,
    /// Host names.
    pub reservations: Arc<Reservations>,
    /// Port of our HTTP server.
    pub http_port: u16,
    /// The addresses of all other masters there may be, alive or not.
    pub siblings: Vec<Ipv4Addr>,
    /// Base URLs of the other masters' HTTP servers, in the order in which machines shall ask them.
    pub masters: Vec<String>,
    /// How UEFI firmware is told its boot file while another DHCP server gives the addresses.
    pub proxy: ProxyStyle,
    /// What that boot file is.
    pub proxy_loader: ProxyLoader,
    /// Network boot over IPv6.
    pub v6: Option<V6>,
}

impl Settings {
    /// Whether `ip` is on the provisioning network.
    #[must_use]
    pub fn on_link(&self, ip: Ipv4Addr) -> bool {
        Cidr::around(self.server, self.prefix).contains(ip)
    }

    /// Whether `ip` is on a network that is served.
    #[must_use]
    pub fn serves(&self, ip: Ipv4Addr) -> bool {
        self.on_link(ip) || self.subnets.iter().any(|subnet| subnet.cidr.contains(ip))
    }

    /// Where our HTTP server is for clients over IPv6, where it is for them.
    #[must_use]
    pub fn http6(&self) -> Option<String> {
        self.v6.as_ref().map(|v6| format!("http://[{}]:{}", v6.server, self.http_port))
    }

    /// Where our HTTP server is, without a slash at the end.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}:{}", self.server, self.http_port)
    }

    /// The length of the longest lease.
    #[must_use]
    pub fn longest(&self) -> Seconds {
        self.subnets.iter().map(|subnet| subnet.lease).max().unwrap_or(0)
    }

    /// Which network a client is on: the one that its relay agent selects (RFC 3527), else that of the relay agent,
    /// else that of an address it was leased, else that of our interface. `None`: one that is not served.
    fn network(&self, packet: &Packet<'_>, relay: &Relay<'_>) -> Option<usize> {
        let of = |ip: Ipv4Addr| self.subnets.iter().position(|subnet| subnet.cidr.contains(ip));
        if !packet.giaddr.is_unspecified() {
            // Nobody but a relay agent may select: a client would get an address that is of no use to it.
            return of(relay.link.unwrap_or(packet.giaddr));
        }
        if !packet.ciaddr.is_unspecified() {
            return of(packet.ciaddr).or(Some(0)); // a relayed client renews by unicast
        }
        (!self.subnets.is_empty()).then_some(0)
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
    /// Another DHCP server gives the addresses here.
    #[error("another DHCP server gives the addresses on this network; only boot firmware is answered")]
    ProxyOnly,
    /// It wants to boot, and there is nothing for it.
    #[error("there is nothing to boot for its architecture")]
    Unsupported,
    /// DHCP is switched off.
    #[error("DHCP is switched off")]
    Off,
    /// No address is left.
    #[error("no address is left in the pool for it; enlarge the pool, or reserve one for this machine")]
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

/// A packet with all that it is answered by.
struct Exchange<'a> {
    settings: &'a Settings,
    packet: &'a Packet<'a>,
    who: Who<'a>,
    /// The client's network: its place in the plan, and what it is told there.
    network: usize,
    subnet: &'a Subnet,
    now: Seconds,
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
    let who = Who::of(packet);
    let network = settings.network(packet, &who.relay).ok_or(Silence::Relay)?;
    let subnet = settings.subnets.get(network).ok_or(Silence::Relay)?;
    let x = Exchange { settings, packet, who, network, subnet, now };
    let ours = packet.option_ip(options::SERVER_ID).is_none_or(|id| x.is_ours(id));
    match packet.kind {
        MessageType::Discover => x.discover(leases),
        MessageType::Request => x.request(leases),
        MessageType::Inform => x.inform(),
        MessageType::Release if ours => {
            leases.release(packet.hw, packet.ciaddr, now);
            Err(Silence::Done)
        }
        MessageType::Decline if ours => {
            if let Some(ip) = packet.option_ip(options::REQUESTED_IP)
                && leases.decline(&x.who, ip, now)
            {
                tracing::warn!(client = %packet.hw, %ip, "address is in use by somebody else; it is set aside");
            }
            Err(Silence::Done)
        }
        MessageType::Release | MessageType::Decline => Err(Silence::OtherServer),
        MessageType::Offer | MessageType::Ack | MessageType::Nak => Err(Silence::NotARequest),
    }
}

impl Exchange<'_> {
    /// Whether `id` is what this client was told to be our address.
    fn is_ours(&self, id: Ipv4Addr) -> bool {
        // Another master may have made the offer, and died: there is one leader at a time, and that are we.
        id == self.settings.server
            || self.who.relay.server == Some(id)
            || self.settings.siblings.contains(&id)
    }

    fn discover(&self, leases: &mut Leases) -> Result<Reply, Silence> {
        let wanted = self.packet.option_ip(options::REQUESTED_IP);
        let ip = leases.offer(&self.who, self.network, wanted, self.now).ok_or(Silence::Exhausted)?;
        self.answer(ip, true).write(MessageType::Offer)
    }

    /// The four forms of REQUEST, told apart as RFC 2131 table 4 does.
    fn request(&self, leases: &mut Leases) -> Result<Reply, Silence> {
        let packet = self.packet;
        match (packet.option_ip(options::SERVER_ID), packet.option_ip(options::REQUESTED_IP)) {
            (Some(id), _) if !self.is_ours(id) => {
                leases.withdraw(packet.hw, self.network, self.now);
                Err(Silence::OtherServer)
            }
            // SELECTING. A client that puts its address into ciaddr instead of option 50 is understood.
            (Some(_), wanted) => self.bind(leases, wanted.unwrap_or(packet.ciaddr)),
            // INIT-REBOOT.
            (None, Some(ip)) if !self.subnet.cidr.contains(ip) => self.nak(Refusal::NotOurs),
            (None, Some(ip)) => match leases.lease_in(packet.hw, self.network) {
                // RFC 2131 has a server be silent of machines unknown to it; but what it knows to be another's, it says.
                None if leases.is_anothers(&self.who, ip) => self.nak(Refusal::Taken),
                None => Err(Silence::Unknown),
                Some(lease) if lease.ip != ip && lease.state != State::Past => self.nak(Refusal::Taken),
                Some(_) => self.bind(leases, ip),
            },
            (None, None) if packet.ciaddr.is_unspecified() => Err(Silence::Unknown),
            // REBINDING through the relay agent of another network: the machine was moved.
            (None, None) if !packet.giaddr.is_unspecified() && !self.subnet.cidr.contains(packet.ciaddr) => {
                self.nak(Refusal::NotOurs)
            }
            // RENEWING (unicast) and REBINDING (broadcast). A journal that was lost is no reason to take a running
            // machine's address away: an address of the pool that nobody else has is confirmed.
            (None, None) => self.bind(leases, packet.ciaddr),
        }
    }

    /// Grants `ip` to the client, or refuses.
    fn bind(&self, leases: &mut Leases, ip: Ipv4Addr) -> Result<Reply, Silence> {
        let bound = if self.subnet.cidr.contains(ip) {
            leases.bind(&self.who, ip, self.subnet.lease, self.now)
        } else {
            Err(Refusal::NotOurs)
        };
        match bound {
            Ok(()) => self.answer(ip, true).write(MessageType::Ack),
            Err(Refusal::NotOurs | Refusal::Crowded) if self.renews() => Err(Silence::Unknown), // maybe another server's
            Err(why) => self.nak(why),
        }
    }

    /// Whether the client is a running machine that wants to keep what it has.
    fn renews(&self) -> bool {
        let packet = self.packet;
        packet.option(options::SERVER_ID).is_none() && packet.option(options::REQUESTED_IP).is_none()
    }

    fn inform(&self) -> Result<Reply, Silence> {
        let ip = self.packet.ciaddr;
        if ip.is_unspecified() || !self.subnet.cidr.contains(ip) {
            return Err(Silence::Unknown);
        }
        self.answer(ip, false).write(MessageType::Ack)
    }

    fn answer(&self, ip: Ipv4Addr, leased: bool) -> Answer<'_> {
        let lease = leased.then_some(self.subnet.lease);
        let Self { settings, packet, subnet, .. } = self;
        Answer { settings, packet, who: &self.who, subnet, ip, lease }
    }

    /// RFC 2131 table 3: a NAK carries nothing but its reason, and is broadcast, since the client's address is wrong.
    fn nak(&self, why: Refusal) -> Result<Reply, Silence> {
        let packet = self.packet;
        let mut writer = Writer::reply(packet, MessageType::Nak);
        writer.option(options::SERVER_ID, &self.server_id().octets());
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

    fn server_id(&self) -> Ipv4Addr {
        self.who.relay.server.unwrap_or(self.settings.server)
    }
}

#[cfg(test)]
mod tests;

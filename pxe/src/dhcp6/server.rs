//! The DHCPv6 server as a function: a message and the network's addresses in; an answer, or none with a reason, out.
//! RFC 8415 sections 16 (what is discarded) and 18.3 (what is answered).

use std::net::Ipv6Addr;

use super::address::Addresses;
use super::client::client;
use super::options::{self, Status};
use super::packet::{Association, Kind, Packet, Writer, put};
use crate::boot::{self, Boot, Stage};
use crate::script::Target;

/// Most identity associations answered in one message; a client has one for each of its interfaces.
const MAX_ASSOCIATIONS: usize = 8;
/// Chosen at once, without waiting for other servers (RFC 8415 section 18.2.1).
const CHOOSE_US: u8 = 255;

/// What the server hands out. Everything but the addresses themselves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our address, in the /64 that is handed out.
    pub server: Ipv6Addr,
    /// Our DUID.
    pub duid: Vec<u8>,
    /// Name servers.
    pub dns: Vec<Ipv6Addr>,
    /// Valid lifetime in seconds.
    pub lease: u32,
    /// Port of our HTTP server.
    pub http_port: u16,
}

impl Settings {
    /// Where our HTTP server is, without a slash at the end.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://[{}]:{}", self.server, self.http_port)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its kind.
    pub kind: Kind,
    /// What goes on the wire.
    pub bytes: Vec<u8>,
    /// The first address given, or confirmed.
    pub address: Option<Ipv6Addr>,
    /// What the client was told to boot.
    pub boot: Boot,
}

/// Why a message got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// It lacks its own identifier, or has one that it must not have (RFC 8415 section 16).
    #[error("not what RFC 8415 wants of a message of its kind")]
    Invalid,
    /// It is for another server.
    #[error("the client speaks to another server")]
    OtherServer,
    /// A relay agent on a link we do not serve.
    #[error("relayed from a link that is not served")]
    OtherLink,
    /// CONFIRM without an address.
    #[error("there is no address in it to say anything about")]
    Nothing,
    /// The answer would not fit.
    #[error("the answer does not fit a packet")]
    TooLong,
}

/// Answers one message. `unicast` says that it was sent to our own address.
///
/// # Errors
/// [`Silence`]: the reason why there is no answer.
pub fn handle(
    addresses: &mut Addresses,
    settings: &Settings,
    packet: &Packet<'_>,
    unicast: bool,
) -> Result<Reply, Silence> {
    let duid = check(settings, packet)?;
    let mut answer = Answer::begin(settings, packet, duid);
    if unicast && packet.hops.is_empty() {
        // We never said that we can be spoken to this way (section 18.4).
        return match packet.kind {
            Kind::Request | Kind::Renew | Kind::Release | Kind::Decline => {
                answer.writer.status(Status::UseMulticast);
                answer.end(packet)
            }
            _ => Err(Silence::Invalid),
        };
    }
    match packet.kind {
        Kind::Solicit | Kind::Request | Kind::Renew | Kind::Rebind => {
            for association in packet.associations().take(MAX_ASSOCIATIONS) {
                answer.give(addresses, duid, association, packet.kind);
            }
            answer.refuse_the_rest(packet);
            answer.network(packet);
        }
        Kind::Confirm => {
            let mut all =
                packet.associations().take(MAX_ASSOCIATIONS).flat_map(|ia| ia.addresses()).peekable();
            answer.address = Some(*all.peek().ok_or(Silence::Nothing)?);
            let here = all.all(|address| addresses.on_link(address));
            answer.writer.status(if here { Status::Success } else { Status::NotOnLink });
        }
        Kind::Release | Kind::Decline => {
            for association in packet.associations().take(MAX_ASSOCIATIONS) {
                answer.take_back(addresses, duid, association, packet.kind);
            }
            answer.writer.status(Status::Success);
        }
        Kind::InformationRequest => answer.network(packet),
        Kind::Advertise | Kind::Reply | Kind::Reconfigure => return Err(Silence::Invalid),
    }
    answer.end(packet)
}

/// Section 16; the client's DUID, empty where it may be absent.
fn check<'a>(settings: &Settings, packet: &Packet<'a>) -> Result<&'a [u8], Silence> {
    let client = packet.option(options::CLIENT_ID);
    let server = packet.option(options::SERVER_ID);
    // Section 11.1: at most 128 bytes behind a type of 2.
    if client.is_some_and(|duid| !(3..=130).contains(&duid.len())) {
        return Err(Silence::Invalid);
    }
    let (wants_client, wants_server) = match packet.kind {
        Kind::Solicit | Kind::Confirm | Kind::Rebind => (true, Some(false)),
        Kind::Request | Kind::Renew | Kind::Release | Kind::Decline => (true, Some(true)),
        _ => (false, None),
    };
    let has_addresses = packet.option(options::IA_NA).is_some();
    if (wants_client && client.is_none())
        || wants_server.is_some_and(|wants| wants != server.is_some())
        || (packet.kind == Kind::InformationRequest && has_addresses)
    {
        return Err(Silence::Invalid);
    }
    if server.is_some_and(|duid| duid != settings.duid) {
        return Err(Silence::OtherServer);
    }
    // The agent nearest to the client knows the link. We serve our own, so an agent is one that helps over a switch.
    if let Some(link) = packet.hops.last().map(|hop| hop.link)
        && !link.is_unspecified()
        && !Addresses::new(settings.server).on_link(link)
    {
        return Err(Silence::OtherLink);
    }
    Ok(client.unwrap_or_default())
}

/// An answer being made.
struct Answer<'a> {
    settings: &'a Settings,
    kind: Kind,
    writer: Writer,
    address: Option<Ipv6Addr>,
    boot: Boot,
}

impl<'a> Answer<'a> {
    fn begin(settings: &'a Settings, packet: &Packet<'_>, duid: &[u8]) -> Self {
        let rapid = packet.kind == Kind::Solicit && packet.option(options::RAPID_COMMIT).is_some();
        let kind = if packet.kind == Kind::Solicit && !rapid { Kind::Advertise } else { Kind::Reply };
        let mut writer = Writer::new(kind, packet.xid);
        if !duid.is_empty() {
            writer.option(options::CLIENT_ID, duid);
        }
        writer.option(options::SERVER_ID, &settings.duid);
        if packet.kind == Kind::Solicit {
            writer.option(options::PREFERENCE, &[CHOOSE_US]);
        }
        if rapid {
            writer.option(options::RAPID_COMMIT, &[]);
        }
        Self { settings, kind, writer, address: None, boot: Boot::Nothing }
    }

    fn end(self, packet: &Packet<'_>) -> Result<Reply, Silence> {
        let Self { kind, writer, address, boot, .. } = self;
        Ok(Reply { kind, bytes: writer.finish(&packet.hops).ok_or(Silence::TooLong)?, address, boot })
    }

    /// Gives an association its address; what else it has ends.
    fn give(&mut self, addresses: &Addresses, duid: &[u8], association: Association<'_>, kind: Kind) {
        let lease = self.settings.lease;
        let preferred = lease / 2;
        let mut value = association.iaid.to_vec();
        // Of an address that is not of this link, a client that asks for it is told (section 18.3.2).
        if kind == Kind::Request && association.addresses().any(|has| !addresses.on_link(has)) {
            value.extend([0; 8]);
            put(&mut value, options::STATUS, &(Status::NotOnLink as u16).to_be_bytes());
            self.writer.option(options::IA_NA, &value);
            return;
        }
        let mine = addresses.of(duid, association.iaid);
        // T1 and T2 by the ratios of section 21.4.
        value.extend((preferred / 2).to_be_bytes());
        value.extend((preferred / 5 * 4).to_be_bytes());
        put(&mut value, options::IA_ADDR, &address(mine, preferred, lease));
        if matches!(kind, Kind::Renew | Kind::Rebind) {
            for old in association.addresses().filter(|old| *old != mine).take(MAX_ASSOCIATIONS) {
                put(&mut value, options::IA_ADDR, &address(old, 0, 0));
            }
        }
        self.writer.option(options::IA_NA, &value);
        self.address.get_or_insert(mine);
    }

    /// Temporary addresses and prefixes are not given.
    fn refuse_the_rest(&mut self, packet: &Packet<'_>) {
        for (code, header, status) in
            [(options::IA_TA, 4, Status::NoAddrsAvail), (options::IA_PD, 12, Status::NoPrefixAvail)]
        {
            for asked in packet.options(code).take(MAX_ASSOCIATIONS) {
                let Some(iaid) = asked.get(..4) else { continue };
                let mut value = iaid.to_vec();
                value.resize(header, 0);
                put(&mut value, options::STATUS, &(status as u16).to_be_bytes());
                self.writer.option(code, &value);
            }
        }
    }

    fn take_back(
        &mut self,
        addresses: &mut Addresses,
        duid: &[u8],
        association: Association<'_>,
        kind: Kind,
    ) {
        let mine = addresses.of(duid, association.iaid);
        if !association.addresses().any(|has| has == mine) {
            let mut value = association.iaid.to_vec();
            value.extend([0; 8]);
            put(&mut value, options::STATUS, &(Status::NoBinding as u16).to_be_bytes());
            self.writer.option(options::IA_NA, &value);
            return;
        }
        self.address.get_or_insert(mine);
        if kind == Kind::Decline {
            tracing::warn!(ip = %mine, "address is in use by somebody else; its client gets another");
            addresses.decline(duid, association.iaid);
        }
    }

    /// Name servers and the boot file (RFC 5970), for whoever asks or says that it boots.
    fn network(&mut self, packet: &Packet<'_>) {
        if packet.asks_for(options::DNS) && !self.settings.dns.is_empty() {
            let all: Vec<u8> = self.settings.dns.iter().flat_map(Ipv6Addr::octets).collect();
            self.writer.option(options::DNS, &all);
        }
        let client = client(packet);
        // A BIOS does not know IPv6 (PXE 2.1): only one that lies says so.
        let decided = match boot::decide(client) {
            Boot::Tftp(_) if boot::is_bios(client.arch) => Boot::Unsupported,
            decided => decided,
        };
        let http = self.settings.http();
        let url = match decided {
            Boot::Nothing | Boot::Unsupported => None,
            Boot::Tftp(file) => Some(format!("tftp://[{}]/{file}", self.settings.server)),
            Boot::HttpLoader => Some(format!("{http}/boot/{}", boot::UEFI_LOADER)),
            Boot::Script => super::client::hardware(packet)
                .map(|hw| Target { http: &http, others: &[], hw, arch: client.arch }.script_url()),
        };
        self.boot = if url.is_none() && decided == Boot::Script { Boot::Unsupported } else { decided };
        if let Some(url) = url {
            self.writer.option(options::BOOT_FILE_URL, url.as_bytes());
        }
        // EDK2 takes an answer for HTTP boot only with the class that it asked by.
        if client.stage == Stage::Http && decided == Boot::HttpLoader {
            let mut class = options::ENTERPRISE_PXE.to_be_bytes().to_vec();
            class.extend([0, 10]);
            class.extend(b"HTTPClient");
            self.writer.option(options::VENDOR_CLASS, &class);
        }
    }
}

/// The value of [`options::IA_ADDR`].
fn address(address: Ipv6Addr, preferred: u32, valid: u32) -> Vec<u8> {
    [address.octets().as_slice(), &preferred.to_be_bytes(), &valid.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests;

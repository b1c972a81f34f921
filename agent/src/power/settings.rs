//! What a person may set, made what the program uses. Pure. Every text ends up in an argument of a program, in a URL, or
//! in a header, so each is checked for what may stand there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use maekin_api::power::{Firmware, Method, PowerSettings};
use maekin_api::secret::Secret;
use maekin_rootfs::validate::{is_hex, is_label, is_mac};

use super::errors::PowerError;

/// Longest password of IPMI 2.0 (section 22.30), bytes.
const IPMI_PASSWORD: usize = 20;
/// Longest user name of IPMI 2.0 (section 22.28), bytes.
const IPMI_USER: usize = 16;
/// Longest of any other text, bytes.
const TEXT: usize = 255;

/// How a machine is switched, checked, with its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a packet.
    WakeOnLan(Wake),
    /// By `ipmitool`.
    Ipmi(IpmiWay),
    /// By HTTP.
    Redfish(RedfishWay),
}

/// By a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wake {
    /// Whom it wakes.
    pub(crate) mac: [u8; 6],
    /// SecureOn password: nothing, four or six bytes.
    pub(crate) password: Hidden,
    /// The interface it leaves from; empty: that of the cluster's network.
    pub(crate) interface: String,
    /// Where to.
    pub(crate) broadcast: Ipv4Addr,
}

/// Bytes that are never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) Vec<u8>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hidden({} bytes)", self.0.len())
    }
}

/// By `ipmitool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IpmiWay {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) firmware: Option<Firmware>,
    pub(crate) cipher_suite: Option<u8>,
}

/// By HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedfishWay {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) firmware: Option<Firmware>,
    /// `Id` of the system; empty: the only one, or that of the machine's UUID.
    pub(crate) system: String,
    /// SHA-256 of the certificate; none: not seen yet.
    pub(crate) certificate_sha256: Option<String>,
    pub(crate) plain_http: bool,
}

impl Way {
    /// Whom is asked, for a person.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::WakeOnLan(wake) => wake.broadcast.to_string(),
            Self::Ipmi(ipmi) => authority(&ipmi.host, ipmi.port),
            Self::Redfish(redfish) => authority(&redfish.host, redfish.port),
        }
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether `mac` is a hardware address as the record has it.
///
/// # Errors
/// [`PowerError::Invalid`].
pub(crate) fn check_mac(mac: &str) -> Result<(), PowerError> {
    let why =
        || format!("mac: `{}` is not written like aa:bb:cc:dd:ee:ff, in small letters", mac.escape_debug());
    if is_mac(mac) { Ok(()) } else { Err(PowerError::Invalid(why())) }
}

/// Checks what was set.
///
/// # Errors
/// [`PowerError::Invalid`] naming the field.
pub(crate) fn plan_way(mac: &str, settings: &PowerSettings, password: &Secret) -> Result<Way, PowerError> {
    check_mac(mac)?;
    foreign_fields(settings)?;
    match settings.method {
        Method::WakeOnLan => wake(mac, settings, password).map(Way::WakeOnLan),
        Method::Ipmi => {
            let (host, port) = parse_address(&settings.address, 623)?;
            check_text("user", &settings.user, IPMI_USER)?;
            check_text("password", password.expose(), IPMI_PASSWORD)?;
            if settings.cipher_suite.is_some_and(|suite| !(1..=17).contains(&suite)) {
                return invalid("cipher_suite: must be 1 to 17; 3 and 17 are the usual ones");
            }
            Ok(Way::Ipmi(IpmiWay {
                host,
                port,
                user: settings.user.clone(),
                password: password.clone(),
                firmware: settings.firmware,
                cipher_suite: settings.cipher_suite,
            }))
        }
        Method::Redfish => {
            let (host, port) = parse_address(&settings.address, if settings.plain_http { 80 } else { 443 })?;
            check_text("user", &settings.user, TEXT)?;
            check_text("password", password.expose(), TEXT)?;
            if settings.user.contains(':') {
                return invalid("user: a colon cannot stand in it (RFC 7617)");
            }
            if !settings.system.is_empty() {
                check_text("system", &settings.system, TEXT)?;
            }
            let pin = &settings.certificate_sha256;
            if !pin.is_empty() && (settings.plain_http || !is_hex(pin, 64)) {
                return invalid("certificate_sha256: must be 64 small hex digits, and not with plain_http");
            }
            Ok(Way::Redfish(RedfishWay {
                host,
                port,
                user: settings.user.clone(),
                password: password.clone(),
                firmware: settings.firmware,
                system: settings.system.clone(),
                certificate_sha256: (!pin.is_empty()).then(|| pin.clone()),
                plain_http: settings.plain_http,
            }))
        }
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, PowerError> {
    Err(PowerError::Invalid(why.into()))
}

/// Refuses fields of another method: they would be believed to have an effect.
fn foreign_fields(s: &PowerSettings) -> Result<(), PowerError> {
    use Method::{Ipmi, Redfish, WakeOnLan};
    let rows: [(&str, bool, &[Method]); 9] = [
        ("address", !s.address.is_empty(), &[Ipmi, Redfish]),
        ("user", !s.user.is_empty(), &[Ipmi, Redfish]),
        ("firmware", s.firmware.is_some(), &[Ipmi, Redfish]),
        ("cipher_suite", s.cipher_suite.is_some(), &[Ipmi]),
        ("system", !s.system.is_empty(), &[Redfish]),
        ("certificate_sha256", !s.certificate_sha256.is_empty(), &[Redfish]),
        ("plain_http", s.plain_http, &[Redfish]),
        ("interface", !s.interface.is_empty(), &[WakeOnLan]),
        ("broadcast", s.broadcast.is_some(), &[WakeOnLan]),
    ];
    match rows.iter().find(|(_, set, methods)| *set && !methods.contains(&s.method)) {
        Some((field, ..)) => invalid(format!("{field}: does not belong to this method")),
        None => Ok(()),
    }
}

/// Something that is there, printable, without a byte that ends a line or an argument.
fn check_text(field: &str, text: &str, longest: usize) -> Result<(), PowerError> {
    if text.is_empty() {
        return invalid(format!("{field}: must be given"));
    }
    if text.len() > longest {
        return invalid(format!("{field}: is {} bytes long, and at most {longest} are possible", text.len()));
    }
    if text.chars().any(char::is_control) {
        return invalid(format!("{field}: has a control character in it (a line end at its end?)"));
    }
    Ok(())
}

/// `host`, `host:port`, `::1`, `[::1]:port`.
fn parse_address(text: &str, usual: u16) -> Result<(String, u16), PowerError> {
    let wrong = || {
        let text = text.escape_debug();
        PowerError::Invalid(format!("address: `{text}` is no name or IP address with an optional :port"))
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok((ip.to_string(), usual));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<IpAddr>().map_err(|_| wrong())?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => usual,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?
        }
        Some(_) => return Err(wrong()),
    };
    let named = host.len() <= 253 && host.split('.').all(|part| is_label(&part.to_ascii_lowercase()));
    if host.parse::<IpAddr>().is_ok() || named { Ok((host.to_owned(), port)) } else { Err(wrong()) }
}

fn wake(mac: &str, settings: &PowerSettings, password: &Secret) -> Result<Wake, PowerError> {
    let bytes = hex_bytes(mac).and_then(|bytes| bytes.try_into().ok());
    let mac = bytes.ok_or_else(|| PowerError::Invalid("mac: is none".to_owned()))?;
    let password = match password.expose() {
        "" => Vec::new(),
        text if is_mac(&text.to_ascii_lowercase()) => hex_bytes(text).unwrap_or_default(),
        text => match text.parse::<Ipv4Addr>() {
            Ok(four) => four.octets().to_vec(),
            Err(_) => {
                return invalid(
                    "password: a SecureOn password is written like aa:bb:cc:dd:ee:ff, or as four numbers with dots",
                );
            }
        },
    };
    let name = &settings.interface;
    let is_name = name.len() <= 15 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !is_name {
        return invalid("interface: is no name of an interface");
    }
    let broadcast = settings.broadcast.unwrap_or(Ipv4Addr::BROADCAST);
    Ok(Wake { mac, password: Hidden(password), interface: name.clone(), broadcast })
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    text.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

#[cfg(test)]
mod tests;

//! What a verified certificate says about its bearer.

use std::net::IpAddr;

use maekin_image::manifest::{hex, sha256_hex};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const PREFIX: &str = "urn:maekin:node:";

/// The URI that names a node in its certificate.
pub(crate) fn node_uri(node_id: &str) -> String {
    format!("{PREFIX}{node_id}")
}

/// A node, as its certificate has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerNode {
    /// Its id.
    pub(crate) node_id: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub(crate) key_sha256: String,
}

/// The node in a certificate (DER) whose chain was verified before; `None` when it names no node.
pub(crate) fn parse_peer(der: &[u8]) -> Option<PeerNode> {
    let (_, cert) = X509Certificate::from_der(der).ok()?;
    let names = cert.subject_alternative_name().ok()??;
    let node_id = names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(PREFIX),
        _ => None,
    })?;
    Some(PeerNode { node_id: node_id.to_owned(), key_sha256: sha256_hex(cert.public_key().raw) })
}

/// A certificate's number, and from when to when it holds, seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dates {
    /// Serial number, hex digits without leading zero bytes.
    pub(crate) serial: String,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

impl Dates {
    /// Whether it holds at `now`.
    pub(crate) fn hold(&self, now: u64) -> bool {
        (self.not_before..self.not_after).contains(&now)
    }
}

/// SHA-256 of the public key (SubjectPublicKeyInfo) in a certificate (DER).
pub(crate) fn parse_key(der: &[u8]) -> Option<String> {
    X509Certificate::from_der(der).ok().map(|(_, cert)| sha256_hex(cert.public_key().raw))
}

/// Number and times of a certificate (DER).
pub(crate) fn parse_dates(der: &[u8]) -> Option<Dates> {
    let (_, cert) = X509Certificate::from_der(der).ok()?;
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    let serial = cert.raw_serial();
    let start = serial.iter().position(|byte| *byte != 0).unwrap_or(serial.len());
    Some(Dates {
        serial: hex(&serial[start..]),
        not_before: seconds(cert.validity().not_before),
        not_after: seconds(cert.validity().not_after),
    })
}

/// Whether a certificate (DER) names `address`.
pub(super) fn names_address(der: &[u8], address: IpAddr) -> bool {
    let bytes = match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let Ok((_, cert)) = X509Certificate::from_der(der) else { return false };
    let Ok(Some(names)) = cert.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|name| matches!(name, GeneralName::IPAddress(ip) if *ip == bytes))
}

//! What a verified certificate says about its bearer.

use std::net::IpAddr;

use maekin_image::manifest::sha256_hex;
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

//! The cluster's certificate authority. Made by the first node; whoever holds its key may sign members in.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use maekin_host::file::read_text;
use maekin_image::manifest::{hex, sha256_hex};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::peer::{node_uri, parse_key};
use super::{PkiError, SERVER_NAME, new_key};

/// Largest key or certificate file that is read, bytes.
pub(super) const LIMIT: u64 = 64 << 10;

/// The cluster's CA with its key.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(crate) pem: String,
}

/// A day, seconds.
const DAY: u64 = 24 * 3600;
/// What serial numbers are made of begins so.
const SERIAL: &[u8] = b"maekin node certificate serial v1\0";
/// How long a node's certificate holds from the beginning of the day (UTC) that it is made on, seconds.
pub(crate) const LIFETIME: u64 = 30 * 24 * 3600;
/// How long before it was made it begins to hold, seconds: for members whose clocks are behind.
pub(crate) const BACKDATED: u64 = 24 * 3600;
/// Latest moment that a certificate names, 2200-01-01.
const LATEST: u64 = 7_258_118_400;
/// Named in every certificate: a node asks itself too.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// From when to when a certificate holds, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

impl Validity {
    /// That of a node's certificate that is made at `now`: the same all day long, so that whoever asks again and again
    /// gets one certificate a day, and not one more each time.
    pub(crate) fn of_node(now: u64) -> Self {
        let day = now - now % DAY;
        Self { not_before: day.saturating_sub(BACKDATED), not_after: day.saturating_add(LIFETIME) }
    }
}

/// A certificate that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    /// PEM.
    pub(crate) pem: String,
    /// Its serial number, hex digits without leading zero bytes.
    pub(crate) serial: String,
    /// Until when it holds.
    pub(crate) not_after: u64,
}

/// Whom a certificate is for.
#[derive(Debug, Clone)]
pub(crate) struct Subject<'a> {
    /// The node's id.
    pub(crate) node_id: &'a str,
    /// Its host name.
    pub(crate) name: &'a str,
    /// Its addresses.
    pub(crate) addresses: &'a [IpAddr],
}

impl Ca {
    /// A new one, in memory only.
    ///
    /// # Errors
    /// [`PkiError`].
    pub(crate) fn make(cluster: &str, cluster_id: &str) -> Result<Self, PkiError> {
        let key = new_key()?;
        let params = ca_params(cluster, cluster_id);
        let cert =
            params.self_signed(&key).map_err(|source| PkiError::Make { what: "the cluster's CA", source })?;
        Ok(Self { issuer: Issuer::new(params, key), pem: cert.pem() })
    }

    /// Reads the CA from `dir`, or makes it where there is none, with its key in clear: as earlier releases did.
    ///
    /// # Errors
    /// [`PkiError`].
    #[cfg(test)]
    pub(crate) fn ensure(dir: &Path, cluster: &str, cluster_id: &str) -> Result<Self, PkiError> {
        if let Some(ca) = Self::load(dir)? {
            return Ok(ca);
        }
        let ca = Self::make(cluster, cluster_id)?;
        maekin_host::file::write_atomic(&dir.join("ca.key"), ca.key_pem().as_bytes(), 0o600)?;
        maekin_host::file::write_atomic(&dir.join("ca.crt"), ca.pem.as_bytes(), 0o644)?;
        Ok(ca)
    }

    /// Reads the CA from `dir`, where an earlier release left it with its key in clear; `None` where it did not.
    ///
    /// # Errors
    /// [`PkiError`] when the files are there and unusable.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, PkiError> {
        let (key_path, cert_path) = (dir.join("ca.key"), dir.join("ca.crt"));
        if !key_path.exists() || !cert_path.exists() {
            return Ok(None);
        }
        let key = KeyPair::from_pem(&read_text(&key_path, LIMIT)?).map_err(|source| PkiError::Damaged {
            path: key_path,
            what: "CA key",
            source,
        })?;
        let pem = read_text(&cert_path, LIMIT)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|source| PkiError::Damaged {
            path: cert_path,
            what: "CA certificate",
            source,
        })?;
        Ok(Some(Self { issuer, pem }))
    }

    /// The CA of a certificate and its private key, both PEM.
    ///
    /// # Errors
    /// [`PkiError::Unreadable`] when they are none.
    pub(crate) fn from_pem(pem: String, key: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key).map_err(|_| PkiError::Unreadable("the CA's key"))?;
        let issuer =
            Issuer::from_ca_cert_pem(&pem, key).map_err(|_| PkiError::Unreadable("the CA's certificate"))?;
        Ok(Self { issuer, pem })
    }

    /// Whether the key is the one that the certificate names.
    pub(crate) fn fits(&self) -> bool {
        let der = CertificateDer::from_pem_slice(self.pem.as_bytes()).ok();
        let named = der.and_then(|der| parse_key(&der));
        named.is_some_and(|named| named == sha256_hex(&self.issuer.key().subject_public_key_info()))
    }

    /// The private key, PEM (PKCS #8): to be sealed.
    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Certifies `key` as that of `subject`, from now on; PEM.
    ///
    /// # Errors
    /// [`PkiError`].
    #[cfg(test)]
    pub(crate) fn certify(
        &self,
        key: &impl PublicKeyData,
        subject: &Subject<'_>,
    ) -> Result<String, PkiError> {
        self.issue(key, subject, Validity::of_node(crate::clock::now())).map(|issued| issued.pem)
    }

    /// The serial number of a certificate: it follows from all that the certificate says, so that the same one made again
    /// has the same, also by another member.
    fn serial(
        &self,
        key: &impl PublicKeyData,
        subject: &Subject<'_>,
        validity: Validity,
    ) -> Result<[u8; 16], PkiError> {
        let mut digest = Sha256::new().chain_update(SERIAL);
        let addresses: Vec<_> = subject.addresses.iter().map(ToString::to_string).collect();
        let parts = [self.fingerprint()?, subject.node_id.to_owned(), subject.name.to_owned()];
        for part in
            parts.iter().chain(&addresses).map(String::as_bytes).chain([&key.subject_public_key_info()[..]])
        {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.update(validity.not_before.to_be_bytes());
        digest.update(validity.not_after.to_be_bytes());
        let mut serial = [0; 16];
        serial.copy_from_slice(&digest.finalize()[..16]);
        serial[0] = serial[0] & 0x7f | 0x40; // positive (RFC 5280 section 4.1.2.2), and of one length
        Ok(serial)
    }

    /// Certifies `key` as that of `subject`.
    ///
    /// # Errors
    /// [`PkiError`].
    pub(crate) fn issue(
        &self,
        key: &impl PublicKeyData,
        subject: &Subject<'_>,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let mut params = node_params(subject)?;
        params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(validity.not_before.min(LATEST));
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(validity.not_after.min(LATEST));
        let serial = self.serial(key, subject, validity)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let make = |source| PkiError::Make { what: "a node's certificate", source };
        let pem = params.signed_by(key, &self.issuer).map(|cert| cert.pem()).map_err(make)?;
        Ok(Issued { pem, serial: hex(&serial), not_after: validity.not_after })
    }

    /// A list of certificates that hold no longer, by their serial numbers (hex digits); PEM (RFC 5280 section 5). Lists
    /// that are made later have greater numbers.
    ///
    /// # Errors
    /// [`PkiError`].
    pub(crate) fn revoke(
        &self,
        serials: &[(String, u64)],
        number: u64,
        now: u64,
    ) -> Result<String, PkiError> {
        let at = |seconds: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.min(LATEST));
        let revoked = |(serial, since): &(String, u64)| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&unhex(serial)?),
                revocation_time: at(*since),
                reason_code: None,
                invalidity_date: None,
            })
        };
        let params = CertificateRevocationListParams {
            this_update: at(now.saturating_sub(BACKDATED)),
            // Nobody waits for the next one: there is one whenever something changes.
            next_update: at(LATEST),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().filter_map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let make = |source| PkiError::Make { what: "the list of revoked certificates", source };
        params.signed_by(&self.issuer).and_then(|crl| crl.pem()).map_err(make)
    }

    /// SHA-256 of the certificate.
    ///
    /// # Errors
    /// [`PkiError::Unreadable`].
    pub(crate) fn fingerprint(&self) -> Result<String, PkiError> {
        fingerprint(&self.pem)
    }
}

/// SHA-256 of a certificate (DER) given as PEM, 64 lower-case hex digits.
///
/// # Errors
/// [`PkiError::Unreadable`].
pub(crate) fn fingerprint(pem: &str) -> Result<String, PkiError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| PkiError::Unreadable("the CA's certificate"))?;
    Ok(sha256_hex(&der))
}

/// Takes the key out of a signing request after checking that its bearer holds the private half.
///
/// # Errors
/// [`PkiError::Unreadable`] for anything that is no such request.
pub(crate) fn key_of_request(csr: &str) -> Result<rcgen::PublicKey, PkiError> {
    CertificateSigningRequestParams::from_pem(csr)
        .map(|request| request.public_key)
        .map_err(|_| PkiError::Unreadable("the signing request"))
}

/// The CA itself holds for long, on both sides: a node whose clock is wrong at its first boot must still be able to join.
fn validity(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2046, 1, 1);
}

fn ca_params(cluster: &str, cluster_id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    validity(&mut params);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Maekin cluster {cluster}"));
    params.distinguished_name.push(DnType::OrganizationName, cluster_id);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn node_params(subject: &Subject<'_>) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject.name);
    let text = |text: &str| {
        text.try_into().map_err(|source| PkiError::Make { what: "a node's certificate", source })
    };
    let mut names = vec![
        SanType::DnsName(text(SERVER_NAME)?),
        SanType::DnsName(text(subject.name)?),
        SanType::DnsName(text("localhost")?),
        SanType::URI(text(&node_uri(subject.node_id))?),
        SanType::IpAddress(LOCAL),
    ];
    names.extend(subject.addresses.iter().filter(|ip| **ip != LOCAL).map(|ip| SanType::IpAddress(*ip)));
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Both ways: every node is server and client, and etcd's gateway calls its own port with its server certificate.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Bytes of hex digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

//! The CAs that a node trusts: one, and two while the cluster changes its CA. In a file they follow each other, PEM, as
//! every program reads them.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::PkiError;
use maekin_image::manifest::sha256_hex;

/// Most certificates in one file: what is looked at is bounded.
const MOST: usize = 16;
const END: &str = "-----END CERTIFICATE-----";

/// The certificate of a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaCert {
    /// PEM.
    pub(crate) pem: String,
    /// SHA-256 (DER), 64 lower-case hex digits.
    pub(crate) sha256: String,
    /// DER.
    pub(crate) der: CertificateDer<'static>,
}

/// Certificates of CAs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bundle(Vec<CaCert>);

impl Bundle {
    /// Reads them, PEM after PEM.
    ///
    /// # Errors
    /// [`PkiError::Unreadable`] where one of them is no certificate, or there are too many.
    pub(crate) fn parse(text: &str) -> Result<Self, PkiError> {
        let unreadable = || PkiError::Unreadable("the CA's certificate");
        let mut all = Self::default();
        let mut rest = text;
        while let Some(end) = rest.find(END) {
            let end = end + END.len();
            let behind = rest[end..].trim_start_matches(['\r', '\n']);
            let end = rest.len() - behind.len();
            let (pem, behind) = rest.split_at(end);
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
            let sha256 = sha256_hex(&der);
            if !all.has(&sha256) {
                all.0.push(CaCert { pem: pem.to_owned(), sha256, der });
            }
            if all.0.len() > MOST {
                return Err(unreadable());
            }
            rest = behind;
        }
        if all.0.is_empty() { Err(unreadable()) } else { Ok(all) }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> String {
        let line = |pem: &str| if pem.ends_with('\n') { pem.to_owned() } else { format!("{pem}\n") };
        match self.0.as_slice() {
            [one] => one.pem.clone(),
            all => all.iter().map(|ca| line(&ca.pem)).collect(),
        }
    }

    /// Whether the CA with this fingerprint is among them.
    pub(crate) fn has(&self, sha256: &str) -> bool {
        self.0.iter().any(|ca| ca.sha256 == sha256)
    }

    /// Their fingerprints.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|ca| ca.sha256.clone()).collect()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CaCert> {
        self.0.iter()
    }

    /// The same with those of `other` behind them.
    #[must_use]
    pub(crate) fn with(mut self, other: &Self) -> Self {
        for ca in &other.0 {
            if !self.has(&ca.sha256) {
                self.0.push(ca.clone());
            }
        }
        self
    }

    /// Those that are in `wanted`, and those that are not.
    pub(crate) fn split(self, wanted: &[&str]) -> (Self, Self) {
        let (kept, others) = self.0.into_iter().partition(|ca| wanted.contains(&ca.sha256.as_str()));
        (Self(kept), Self(others))
    }

    /// The newest `most` of them, as they stand last.
    #[must_use]
    pub(crate) fn last(mut self, most: usize) -> Self {
        let surplus = self.0.len().saturating_sub(most);
        self.0.drain(..surplus);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::ca::Ca;

    #[test]
    fn join_certificates_of_cas_follow_each_other_in_a_file() {
        let made = [(); 3].map(|()| Ca::make("rack", "id").unwrap());
        let [a, b, c] = made.each_ref().map(|ca| Bundle::parse(&ca.pem).unwrap());
        assert_eq!(a.text(), made[0].pem, "one alone is written as it was");
        let both = a.clone().with(&b).with(&a);
        assert_eq!(Bundle::parse(&both.text()).unwrap(), both);
        assert_eq!(both.fingerprints().len(), 2);
        let glued = format!("{}{}", made[0].pem.trim_end(), made[2].pem);
        assert_eq!(Bundle::parse(&glued).unwrap().fingerprints(), a.with(&c).fingerprints());
        let (kept, others) = both.clone().split(&[&b.fingerprints()[0]]);
        assert_eq!((kept.text(), others.text()), (made[1].pem.clone(), made[0].pem.clone()));
        assert_eq!(both.with(&c).last(2).fingerprints(), b.with(&c).fingerprints());
        for bad in ["", "-----END CERTIFICATE-----", "x\n-----END CERTIFICATE-----\n"] {
            assert!(Bundle::parse(bad).is_err(), "{bad:?}");
        }
    }
}

//! How a joining node proves that it has a token: it signs its request with a key (Ed25519) that follows from the token's
//! secret. The secret itself is told to nobody, the cluster included: that keeps the SHA-256 of the public key. A proof
//! fits one request of one node to one cluster, so whoever records it can do nothing with it but repeat that request, for
//! a key that he does not have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::join::JoinRequest;
use maekin_api::trust::TokenProof;
use maekin_api::trust::token::Token;
use maekin_image::manifest::sha256_hex;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

const KEY: &[u8] = b"maekin join token key v1\0";
const REQUEST: &[u8] = b"maekin join request v1\0";
/// Longest key or signature, base64.
const LONGEST: usize = 128;

fn pair(id: &str, secret: &[u8; 16]) -> Option<Ed25519KeyPair> {
    let seed = Sha256::new().chain_update(KEY).chain_update(secret).chain_update(id.as_bytes()).finalize();
    // Fails for a wrong length only, which the digest has not.
    Ed25519KeyPair::from_seed_unchecked(&seed).ok()
}

/// What the cluster keeps of a token's secret.
pub(crate) fn digest(id: &str, secret: &[u8; 16]) -> Option<String> {
    pair(id, secret).map(|pair| sha256_hex(pair.public_key().as_ref()))
}

/// All that a request says, each part with its length before it.
fn message(request: &JoinRequest, id: &str, ca_sha256: &str) -> Vec<u8> {
    let addresses = request.addresses.join(",");
    let parts = [id, ca_sha256, &request.csr, &request.node_id, &request.name, &request.machine, &addresses];
    let mut message = REQUEST.to_vec();
    for part in parts {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part.as_bytes());
    }
    message
}

/// Proves that the bearer of `request` has `token`.
pub(crate) fn prove(token: &Token, request: &JoinRequest) -> Option<TokenProof> {
    let pair = pair(&token.id, &token.secret)?;
    let signature = pair.sign(&message(request, &token.id, &token.ca_sha256));
    let (key, signature) = (STANDARD.encode(pair.public_key().as_ref()), STANDARD.encode(signature.as_ref()));
    Some(TokenProof { id: token.id.clone(), key, signature })
}

/// The digest of the key that `request` is signed with, in a proof made for the cluster of `ca_sha256`; `None` where it is
/// not signed so.
pub(crate) fn check(proof: &TokenProof, request: &JoinRequest, ca_sha256: &str) -> Option<String> {
    if proof.key.len() > LONGEST || proof.signature.len() > LONGEST {
        return None;
    }
    let key = STANDARD.decode(&proof.key).ok()?;
    let signature = STANDARD.decode(&proof.signature).ok()?;
    UnparsedPublicKey::new(&ED25519, &key)
        .verify(&message(request, &proof.id, ca_sha256), &signature)
        .ok()
        .map(|()| sha256_hex(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            id: "0123456789".into(),
            secret: [7; 16],
            ca_sha256: "ab".repeat(32),
            made: 1_790_000_000,
            minutes: 60,
            masters: vec!["10.77.0.1:8443".parse().unwrap()],
        }
    }

    fn request() -> JoinRequest {
        JoinRequest {
            secret: String::new(),
            csr: "csr".into(),
            node_id: "n".into(),
            name: "node-2".into(),
            addresses: vec!["10.77.0.2".into(), "10.0.0.2".into()],
            machine: "m".into(),
            token: None,
        }
    }

    #[test]
    fn join_a_proof_fits_one_request_of_one_token_to_one_cluster() {
        let (token, good) = (token(), request());
        let proof = prove(&token, &good).unwrap();
        assert_eq!(check(&proof, &good, &token.ca_sha256), digest(&token.id, &token.secret));
        type Row = (&'static str, fn(&mut TokenProof, &mut JoinRequest, &mut String));
        let rows: [Row; 11] = [
            ("another cluster", |_, _, ca| *ca = "cd".repeat(32)),
            ("another node's key", |_, r, _| r.csr = "other".into()),
            ("another id", |_, r, _| r.node_id = "m".into()),
            ("another name", |_, r, _| r.name = "node-1".into()),
            ("more addresses", |_, r, _| r.addresses.push("10.77.0.1".into())),
            ("another board", |_, r, _| r.machine = "x".into()),
            ("another token", |p, _, _| p.id = "1123456789".into()),
            ("another key", |p, _, _| {
                p.key = STANDARD.encode(pair("0123456789", &[8; 16]).unwrap().public_key().as_ref());
            }),
            ("no key", |p, _, _| p.key.clear()),
            ("no signature", |p, _, _| p.signature = "AAAA".into()),
            ("a long one", |p, _, _| p.signature = "A".repeat(4096)),
        ];
        for (name, change) in rows {
            let (mut proof, mut request, mut ca) = (proof.clone(), good.clone(), token.ca_sha256.clone());
            change(&mut proof, &mut request, &mut ca);
            assert_eq!(check(&proof, &request, &ca), None, "{name}");
        }
        let other = digest(&token.id, &[8; 16]);
        assert_ne!(check(&proof, &good, &token.ca_sha256), other, "another secret has another digest");
    }
}

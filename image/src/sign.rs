//! Signing in minisign's format, deterministically: the same key, content and comment are the same signature, so two
//! builds are the same bytes. (The `minisign` crate signs with a random nonce; keys are still its own.)
//!
//! Format: <https://jedisct1.github.io/minisign/>, prehashed signatures (`ED`): Ed25519 (RFC 8032) over the
//! BLAKE2b-512 of the content, and over the signature with its trusted comment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};
use ring::signature::Ed25519KeyPair;

/// Bytes of an unencrypted secret key file, minisign's `seckey` without its checksum.
const KEY_LEN: usize = 158;
/// Where the key number lies in it, and its secret and public half.
const NUMBER: std::ops::Range<usize> = 54..62;
const SEED: std::ops::Range<usize> = 62..94;
const PUBLIC: std::ops::Range<usize> = 94..126;

/// A key that signs releases.
pub struct SigningKey {
    number: [u8; 8],
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

/// A secret key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not a minisign secret key, or is protected by a password.
    #[error("it is no minisign secret key without a password; make one with `minisign -G -W`")]
    Format,
    /// Its two halves do not belong together.
    #[error("its two halves do not belong together; take an undamaged copy")]
    Pair,
}

impl SigningKey {
    /// Makes a new key from `seed`, which must be random, and the number that names it.
    ///
    /// # Errors
    /// [`KeyError::Pair`] when the seed is none; it has any 32 bytes.
    pub fn from_seed(seed: &[u8; 32], number: [u8; 8]) -> Result<Self, KeyError> {
        use ring::signature::KeyPair as _;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Pair)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Pair)?;
        Ok(Self { number, pair, public })
    }

    /// Reads the text of a minisign secret key file that has no password.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let line = text.lines().nth(1).ok_or(KeyError::Format)?;
        let bytes = STANDARD.decode(line.trim()).map_err(|_| KeyError::Format)?;
        if bytes.len() != KEY_LEN || &bytes[..2] != b"Ed" || bytes[2..4] != [0, 0] {
            return Err(KeyError::Format);
        }
        let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes[SEED], &bytes[PUBLIC])
            .map_err(|_| KeyError::Pair)?;
        let mut key = Self { number: [0; 8], pair, public: [0; 32] };
        key.number.copy_from_slice(&bytes[NUMBER]);
        key.public.copy_from_slice(&bytes[PUBLIC]);
        Ok(key)
    }

    /// The text of a minisign secret key file for the key made from `seed`.
    #[must_use]
    pub fn secret_text(&self, seed: &[u8; 32]) -> String {
        let mut bytes = Vec::with_capacity(KEY_LEN);
        bytes.extend(b"Ed\0\0B2");
        bytes.extend([0; 48]); // salt and limits of the password that there is not
        bytes.extend(self.number);
        bytes.extend(seed);
        bytes.extend(self.public);
        let mut checked = b"Ed".to_vec();
        checked.extend(&bytes[NUMBER.start..]);
        bytes.extend(blake2b_256(&checked));
        format!("untrusted comment: minisign secret key\n{}\n", STANDARD.encode(bytes))
    }

    /// The text of the public key file.
    #[must_use]
    pub fn public_text(&self) -> String {
        let bytes = [b"Ed".as_slice(), &self.number, &self.public].concat();
        let number = u64::from_le_bytes(self.number);
        format!("untrusted comment: minisign public key {number:016X}\n{}\n", STANDARD.encode(bytes))
    }

    /// Signs `content`; `comment` is covered by the signature and shown by `minisign -V`.
    #[must_use]
    pub fn sign(&self, content: &[u8], comment: &str) -> String {
        let signature = self.pair.sign(&Blake2b512::digest(content));
        let signature = signature.as_ref();
        let global = self.pair.sign(&[signature, comment.as_bytes()].concat());
        let line = STANDARD.encode([b"ED".as_slice(), &self.number, signature].concat());
        let global = STANDARD.encode(global.as_ref());
        format!(
            "untrusted comment: signature of a Maekin release\n{line}\ntrusted comment: {comment}\n{global}\n"
        )
    }
}

fn blake2b_256(content: &[u8]) -> [u8; 32] {
    use blake2::digest::consts::U32;
    blake2::Blake2b::<U32>::digest(content).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use minisign_verify::{PublicKey, Signature};

    const SEED_BYTES: [u8; 32] = [7; 32];

    fn key() -> SigningKey {
        SigningKey::from_seed(&SEED_BYTES, *b"maekin\0\x01").unwrap()
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let key = key();
        let public = PublicKey::decode(&key.public_text()).unwrap();
        let text = key.sign(b"content", "maekin 0.1.0");
        let signature = Signature::decode(&text).unwrap();
        assert!(public.verify(b"content", &signature, false).is_ok());
        assert_eq!(signature.trusted_comment(), "maekin 0.1.0");
        assert!(public.verify(b"contenu", &signature, false).is_err());
        let forged = Signature::decode(&text.replace("maekin 0.1.0", "maekin 9.9.9")).unwrap();
        assert!(public.verify(b"content", &forged, false).is_err());
    }

    #[test]
    fn the_same_content_is_the_same_signature() {
        assert_eq!(key().sign(b"content", "c"), key().sign(b"content", "c"));
        assert_ne!(key().sign(b"content", "c"), key().sign(b"content", "d"));
    }

    #[test]
    fn a_key_file_is_minisigns() {
        let text = key().secret_text(&SEED_BYTES);
        let theirs =
            minisign::SecretKeyBox::from_string(&text).unwrap().into_unencrypted_secret_key().unwrap();
        let public = minisign::PublicKey::from_secret_key(&theirs).unwrap().to_box().unwrap().into_string();
        assert_eq!(public.lines().nth(1), key().public_text().lines().nth(1));
        assert_eq!(SigningKey::parse(&text).unwrap().sign(b"x", "c"), key().sign(b"x", "c"));
    }

    #[test]
    fn a_key_that_minisign_made_is_taken() {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let text = pair.sk.to_box(None).unwrap().into_string();
        let key = SigningKey::parse(&text).unwrap();
        let public = PublicKey::decode(&pair.pk.to_box().unwrap().into_string()).unwrap();
        let signature = Signature::decode(&key.sign(b"x", "c")).unwrap();
        assert!(public.verify(b"x", &signature, false).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = key().secret_text(&SEED_BYTES);
        let mut broken = STANDARD.decode(good.lines().nth(1).unwrap()).unwrap();
        broken[PUBLIC.start] ^= 1;
        let broken = format!("c\n{}\n", STANDARD.encode(broken));
        let rows = [
            ("empty", ""),
            ("one line", "untrusted comment: x"),
            ("no base64", "c\n!!!\n"),
            ("short", "c\nRWQ=\n"),
            ("damaged", &broken),
        ];
        for (name, text) in rows {
            assert!(SigningKey::parse(text).is_err(), "{name}");
        }
    }
}

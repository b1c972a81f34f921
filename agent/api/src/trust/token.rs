//! The text of a join token: one string that carries who is let in, by whom, and until when.
//!
//! Form: `mjt1-` and groups of ten characters, separated by `-`, of an alphabet without `i`, `l`, `o` and `u`
//! (Crockford's base 32, lower case). A group holds 5 bytes in 8 characters, and 2 characters of a Reed-Solomon code over
//! GF(32), by which a single wrong character, or two that changed places, can be named. It is never mended by itself:
//! what is accepted is exactly what was made.
//!
//! Content, big-endian: version (1 byte, 1), id (5), secret (16), SHA-256 of the cluster's CA (32), when it was made
//! (4, seconds since 1970), for how many minutes (2), number of addresses (1), each a kind (1; 4 or 6), an IP address
//! and a port (2); the first 4 bytes of the SHA-256 of all that; zeros up to a multiple of 5.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};

use super::MOST_MINUTES;

/// How every token begins.
pub const PREFIX: &str = "mjt1-";
/// Longest text of one, bytes: with [`MOST_MASTERS`] IPv6 addresses.
pub const LONGEST: usize = 400;
/// Most nodes to ask in one.
pub const MOST_MASTERS: usize = 4;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of a group: these carry data, and two more check them.
const DATA: usize = 8;
const GROUP: usize = DATA + 2;
/// Bytes in a group.
const BYTES: usize = 5;
const VERSION: u8 = 1;
/// Bytes of the digest at the end.
const DIGEST: usize = 4;

/// A join token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Its public name, 10 hex digits.
    pub id: String,
    /// What proves that a node was invited.
    pub secret: [u8; 16],
    /// SHA-256 of the cluster's CA certificate (DER), 64 hex digits: who the cluster must prove to be.
    pub ca_sha256: String,
    /// When it was made, seconds since 1970; at most what fits into 32 bits.
    pub made: u32,
    /// For how long it can be used, 1 to [`MOST_MINUTES`].
    pub minutes: u16,
    /// Nodes to ask, in order, 1 to [`MOST_MASTERS`].
    pub masters: Vec<SocketAddr>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, for {:?})", self.id, self.masters)
    }
}

/// A text is no join token. Groups and characters are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It begins with something else.
    #[error("a join token begins with `{PREFIX}`; copy it whole, as `maekin-agent token create` printed it")]
    Prefix,
    /// Too long to be one.
    #[error("a join token has at most {LONGEST} characters; is something else copied with it?")]
    TooLong,
    /// A group is too short or too long.
    #[error("group {group} (`{text}`) has {found} characters; every group of a join token has {GROUP}")]
    Length {
        /// Which group.
        group: usize,
        /// What it is.
        text: String,
        /// How many it has.
        found: usize,
    },
    /// A character that no token has.
    #[error("character {at} of group {group} is `{found}`, which no join token has{}", hint(*found))]
    Character {
        /// Which group.
        group: usize,
        /// Which character.
        at: usize,
        /// What it is.
        found: char,
    },
    /// One character is another one than it was.
    #[error("character {at} of group {group} is `{found}`; it looks mistyped for `{meant}`")]
    Mistyped {
        /// Which group.
        group: usize,
        /// Which character.
        at: usize,
        /// What it is.
        found: char,
        /// What it would have to be, were it the only wrong one.
        meant: char,
    },
    /// Two neighbours changed places.
    #[error("characters {at} and {} of group {group} look as if they had changed places", at + 1)]
    Swapped {
        /// Which group.
        group: usize,
        /// The first of them.
        at: usize,
    },
    /// Several characters are wrong.
    #[error("several characters of group {group} (`{text}`) are mistyped")]
    Group {
        /// Which group.
        group: usize,
        /// What it is.
        text: String,
    },
    /// Every group is right, and the whole is not.
    #[error("a group of the join token is missing, doubled, or in another one's place; copy it whole")]
    Whole,
    /// A token that this release does not know.
    #[error("the join token was made by a newer release (version {0}); install this node with that release")]
    Newer(u8),
    /// It says something that no token says.
    #[error("the join token is whole and says something wrong about {0}; make another one")]
    Content(&'static str),
}

fn hint(found: char) -> &'static str {
    match found {
        'o' | 'O' => " (a zero?)",
        'i' | 'l' | 'I' | 'L' => " (a one?)",
        'u' | 'U' => " (a v?)",
        c if c.is_ascii_uppercase() => " (its letters are small)",
        _ => "",
    }
}

impl Token {
    /// Until when it can be used.
    #[must_use]
    pub fn expires(&self) -> u64 {
        u64::from(self.made) + u64::from(self.minutes) * 60
    }

    /// `https://address:port` of the nodes to ask.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.masters.iter().map(|master| format!("https://{master}")).collect()
    }

    /// Its text.
    ///
    /// # Errors
    /// [`TokenError::Content`] naming the field that cannot be said.
    pub fn render(&self) -> Result<String, TokenError> {
        self.check()?;
        let mut bytes = vec![VERSION];
        bytes.extend(unhex::<5>(&self.id).ok_or(TokenError::Content("its name"))?);
        bytes.extend(self.secret);
        bytes.extend(unhex::<32>(&self.ca_sha256).ok_or(TokenError::Content("the CA"))?);
        bytes.extend(self.made.to_be_bytes());
        bytes.extend(self.minutes.to_be_bytes());
        // At most MOST_MASTERS, as was checked.
        bytes.push(u8::try_from(self.masters.len()).map_err(|_| TokenError::Content("the nodes to ask"))?);
        for master in &self.masters {
            match master.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(master.port().to_be_bytes());
        }
        bytes.extend(&Sha256::digest(&bytes)[..DIGEST]);
        while bytes.len() % BYTES != 0 {
            bytes.push(0);
        }
        let groups: Vec<String> = bytes.chunks_exact(BYTES).map(render_group).collect();
        Ok(format!("{PREFIX}{}", groups.join("-")))
    }

    fn check(&self) -> Result<(), TokenError> {
        if !(1..=MOST_MASTERS).contains(&self.masters.len()) || self.masters.iter().any(|m| !askable(m)) {
            return Err(TokenError::Content("the nodes to ask"));
        }
        if !(1..=MOST_MINUTES).contains(&u32::from(self.minutes)) {
            return Err(TokenError::Content("its time"));
        }
        Ok(())
    }
}

/// An address without scope, that a stranger can connect to.
fn askable(master: &SocketAddr) -> bool {
    let plain = match master {
        SocketAddr::V4(_) => true,
        SocketAddr::V6(v6) => v6.scope_id() == 0 && v6.flowinfo() == 0,
    };
    plain && master.port() != 0 && !master.ip().is_unspecified() && !master.ip().is_multicast()
}

/// Reads a token. Blanks around it do not matter; everything else does.
///
/// # Errors
/// [`TokenError`] naming what is wrong, to the character where that can be known.
pub fn parse_token(text: &str) -> Result<Token, TokenError> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(TokenError::TooLong);
    }
    let rest = text.strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
    let mut bytes = Vec::with_capacity(LONGEST);
    for (index, group) in rest.split('-').enumerate() {
        bytes.extend(parse_group(index + 1, group)?);
    }
    let mut reader = Reader(&bytes);
    let version = reader.take::<1>()?[0];
    if version != VERSION {
        return Err(if version > VERSION { TokenError::Newer(version) } else { TokenError::Whole });
    }
    let id = hex(&reader.take::<5>()?);
    let secret = reader.take::<16>()?;
    let ca_sha256 = hex(&reader.take::<32>()?);
    let made = u32::from_be_bytes(reader.take()?);
    let minutes = u16::from_be_bytes(reader.take()?);
    let count = usize::from(reader.take::<1>()?[0]);
    let mut masters = Vec::new();
    for _ in 0..count.min(MOST_MASTERS + 1) {
        let ip = match reader.take::<1>()?[0] {
            4 => IpAddr::from(reader.take::<4>()?),
            6 => IpAddr::from(reader.take::<16>()?),
            _ => return Err(TokenError::Whole),
        };
        masters.push(SocketAddr::new(ip, u16::from_be_bytes(reader.take()?)));
    }
    let said = bytes.len() - reader.0.len();
    let digest = reader.take::<DIGEST>()?;
    let padding = reader.0;
    if digest != Sha256::digest(&bytes[..said])[..DIGEST]
        || padding.len() >= BYTES
        || padding.iter().any(|byte| *byte != 0)
    {
        return Err(TokenError::Whole);
    }
    let token = Token { id, secret, ca_sha256, made, minutes, masters };
    token.check()?;
    Ok(token)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TokenError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(TokenError::Whole)?;
        self.0 = rest;
        Ok(*taken)
    }
}

fn render_group(bytes: &[u8]) -> String {
    let word = bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let mut symbols = [0_u8; GROUP];
    for (i, symbol) in symbols.iter_mut().take(DATA).enumerate() {
        *symbol = (word >> (5 * (DATA - 1 - i)) & 31) as u8;
    }
    // The two check symbols solve: the sum of all is 0, and so is the sum of each times a^place.
    let (sum, weighted) = syndromes(&symbols);
    let (last, next) = (power(GROUP - 1), power(GROUP - 2));
    symbols[DATA] = divide(weighted ^ multiply(last, sum), next ^ last);
    symbols[DATA + 1] = sum ^ symbols[DATA];
    symbols.iter().map(|symbol| char::from(ALPHABET[usize::from(*symbol)])).collect()
}

fn parse_group(group: usize, text: &str) -> Result<[u8; BYTES], TokenError> {
    let shown = || text.chars().take(2 * GROUP).map(|c| if c.is_control() { '?' } else { c }).collect();
    let found = text.chars().count();
    let mut symbols = [0_u8; GROUP];
    for (i, c) in text.chars().take(GROUP).enumerate() {
        let place = ALPHABET.iter().position(|a| char::from(*a) == c);
        symbols[i] = place.and_then(|place| u8::try_from(place).ok()).ok_or(TokenError::Character {
            group,
            at: i + 1,
            found: if c.is_control() { '?' } else { c },
        })?;
    }
    if found != GROUP {
        return Err(TokenError::Length { group, text: shown(), found });
    }
    let (sum, weighted) = syndromes(&symbols);
    if (sum, weighted) == (0, 0) {
        let word = symbols.iter().take(DATA).fold(0_u64, |word, symbol| word << 5 | u64::from(*symbol));
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&word.to_be_bytes()[8 - BYTES..]);
        return Ok(bytes);
    }
    let letter = |symbol: u8| char::from(ALPHABET[usize::from(symbol & 31)]);
    if sum != 0 && weighted != 0 {
        let ratio = divide(weighted, sum);
        if let Some(at) = (0..GROUP).find(|place| power(*place) == ratio) {
            let (found, meant) = (letter(symbols[at]), letter(symbols[at] ^ sum));
            return Err(TokenError::Mistyped { group, at: at + 1, found, meant });
        }
    }
    let fits = |at: &usize| {
        let mut other = symbols;
        other.swap(at - 1, *at);
        syndromes(&other) == (0, 0)
    };
    let pairs: Vec<usize> = (1..GROUP).filter(fits).collect();
    match pairs[..] {
        [at] => Err(TokenError::Swapped { group, at }),
        _ => Err(TokenError::Group { group, text: shown() }),
    }
}

/// The sum of all symbols, and the sum of each times a^place.
fn syndromes(symbols: &[u8; GROUP]) -> (u8, u8) {
    symbols.iter().enumerate().fold((0, 0), |(sum, weighted), (place, symbol)| {
        (sum ^ symbol, weighted ^ multiply(power(place), *symbol))
    })
}

/// Product in GF(32), by the polynomial x^5 + x^2 + 1.
fn multiply(a: u8, b: u8) -> u8 {
    let mut product = 0_u16;
    for bit in 0..5 {
        if b >> bit & 1 == 1 {
            product ^= u16::from(a) << bit;
        }
    }
    for bit in (5..=8).rev() {
        if product >> bit & 1 == 1 {
            product ^= 0b10_0101 << (bit - 5);
        }
    }
    (product & 31) as u8
}

/// The generator, x, to the power of `n`.
fn power(n: usize) -> u8 {
    (0..n).fold(1, |value, _| multiply(value, 2))
}

/// `a / b`; `b` is not 0. In a field of 32 the inverse of b is b^30.
fn divide(a: u8, b: u8) -> u8 {
    multiply(a, (0..30).fold(1, |value, _| multiply(value, b)))
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;

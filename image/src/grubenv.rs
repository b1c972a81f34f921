//! GRUB's environment block: 1024 bytes that both GRUB and we read and write (GRUB manual, "Environment block").
//!
//! It holds which slot boots. Its size never changes, so that GRUB can rewrite it in place and a change is one write.

use std::collections::BTreeMap;

/// Bytes of an environment block.
pub const SIZE: usize = 1024;
/// The slot that boots, `a` or `b`.
pub const SLOT: &str = "slot";
/// A slot to boot once; the menu empties it before it boots it.
pub const TRIAL: &str = "trial";

const SIGNATURE: &str = "# GRUB Environment Block\n";

/// Why an environment block was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Of another size, or without GRUB's first line.
    #[error("it is no GRUB environment block of 1024 bytes")]
    Format,
    /// The variables do not fit.
    #[error("the variables take {0} bytes, more than an environment block of 1024 bytes holds")]
    TooLong(usize),
}

/// A parsed environment block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrubEnv(BTreeMap<String, String>);

impl GrubEnv {
    /// The block of a fresh installation: boots `slot`.
    #[must_use]
    pub fn booting(slot: &str) -> Self {
        let mut env = Self::default();
        env.set(SLOT, slot);
        env.set(TRIAL, "");
        env
    }

    /// Parses a block.
    ///
    /// # Errors
    /// [`EnvError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvError> {
        let text = std::str::from_utf8(bytes).map_err(|_| EnvError::Format)?;
        let body = text.strip_prefix(SIGNATURE).filter(|_| bytes.len() == SIZE).ok_or(EnvError::Format)?;
        let mut env = Self::default();
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.split_once('=') {
                env.set(name, &unescape(value));
            }
        }
        Ok(env)
    }

    /// A variable's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// The block as it is written.
    ///
    /// # Errors
    /// [`EnvError::TooLong`].
    pub fn to_bytes(&self) -> Result<[u8; SIZE], EnvError> {
        let mut text = SIGNATURE.to_owned();
        for (name, value) in &self.0 {
            text += &format!("{name}={}\n", escape(value));
        }
        let mut block = [b'#'; SIZE];
        block.get_mut(..text.len()).ok_or(EnvError::TooLong(text.len()))?.copy_from_slice(text.as_bytes());
        Ok(block)
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\\n")
}

fn unescape(value: &str) -> String {
    value.replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_1024_bytes_and_round_trips() {
        let env = GrubEnv::booting("a");
        let bytes = env.to_bytes().unwrap();
        assert!(bytes.starts_with(b"# GRUB Environment Block\nslot=a\ntrial=\n###"));
        assert_eq!(bytes.last(), Some(&b'#'));
        assert_eq!(GrubEnv::parse(&bytes), Ok(env));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let good = GrubEnv::booting("b").to_bytes().unwrap();
        let rows: &[(&str, Vec<u8>)] = &[
            ("empty", Vec::new()),
            ("short", good[..1023].to_vec()),
            ("other first line", [b"# Grub", &good[6..]].concat()),
            ("not UTF-8", [&good[..1023], &[0xff]].concat()),
        ];
        for (name, bytes) in rows {
            assert_eq!(GrubEnv::parse(bytes), Err(EnvError::Format), "{name}");
        }
    }

    #[test]
    fn too_many_variables_are_refused() {
        let mut env = GrubEnv::default();
        env.set("x", &"y".repeat(1000));
        assert!(matches!(env.to_bytes(), Err(EnvError::TooLong(n)) if n > SIZE));
    }
}

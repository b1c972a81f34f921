//! The file of clusters that somebody logged in to: `~/.config/maekin/config.toml`, readable by its owner only. It holds
//! tokens, never passwords.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use maekin_host::file::{read_text, write_atomic};
use serde::{Deserialize, Serialize};

use crate::fault::{Code, Fault};

/// Longest file that is read, bytes.
const LONGEST: u64 = 1 << 20;

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// Name of the context that is used when none is named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) current: String,
    /// The contexts, by name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A cluster, and who one is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// Its name.
    #[serde(default)]
    pub(crate) cluster: String,
    /// SHA-256 of its CA certificate (DER), 64 lower-case hex digits.
    pub(crate) ca_sha256: String,
    /// Nodes to ask, `https://host:port`, in this order.
    pub(crate) endpoints: Vec<String>,
    /// Who one is.
    pub(crate) user: String,
    /// API token; empty: the password is asked for, each time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) token: String,
    /// What the token is called, for taking it back.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) token_id: String,
    /// Until when it can be used; 0 where that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) token_expires: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
fn is_zero(seconds: &u64) -> bool {
    *seconds == 0
}

impl Config {
    /// The contexts of a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    /// The contexts of a file; none where there is none.
    ///
    /// # Errors
    /// It cannot be read, or others can read it.
    pub(crate) fn load(path: &Path) -> Result<Self, Fault> {
        let thing = || format!("the file of contexts {} cannot be used", path.display());
        let Ok(meta) = std::fs::metadata(path) else { return Ok(Self::default()) };
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let reason = format!("it holds tokens, and others may read it (mode {mode:03o})");
            let remedy = format!("chmod 600 {}", path.display());
            return Err(Fault::new(Code::Usage, thing(), reason).remedy(remedy));
        }
        let text = read_text(path, LONGEST)
            .map_err(|e| Fault::new(Code::Usage, thing(), crate::fault::chain(&e)))?;
        Self::parse(&text)
            .map_err(|e| Fault::usage(thing(), e).remedy("mend it, or remove it and log in again"))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Fault> {
        let failed = |reason: String| {
            Fault::new(Code::Failed, format!("the contexts cannot be kept in {}", path.display()), reason)
        };
        let text = toml::to_string(self).map_err(|e| failed(e.to_string()))?;
        write_atomic(path, text.as_bytes(), 0o600).map_err(|e| failed(crate::fault::chain(&e)))
    }

    /// The context of that name, or the current one.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn pick(&self, name: Option<&str>) -> Result<(String, &Context), Fault> {
        let wanted = name.unwrap_or(&self.current);
        if let Some(context) = self.contexts.get(wanted) {
            return Ok((wanted.to_owned(), context));
        }
        if wanted.is_empty() {
            return Err(Fault::usage("no cluster is named", "this is no node, and nobody has logged in")
                .remedy("maekin login https://NODE:8443"));
        }
        let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
        let reason = if known.is_empty() {
            "there is none yet".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        Err(Fault::usage(format!("there is no context `{wanted}`"), reason)
            .remedy("maekin login https://NODE:8443 --name NAME"))
    }
}

/// Where the file is: `MAEKIN_CONFIG`, else in the directory of settings (XDG base directories).
pub(crate) fn place(env: impl Fn(&str) -> Option<String>) -> PathBuf {
    if let Some(path) = env("MAEKIN_CONFIG") {
        return path.into();
    }
    let base = env("XDG_CONFIG_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    let home = || PathBuf::from(env("HOME").unwrap_or_else(|| "/".to_owned())).join(".config");
    base.unwrap_or_else(home).join("maekin/config.toml")
}

/// `host:port` of a URL as somebody writes it: the scheme and the port may be left out.
///
/// # Errors
/// It is no such URL.
pub(crate) fn address(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("https://").unwrap_or(url).trim_end_matches('/');
    if rest.contains("://") {
        return Err(format!("`{url}` is not https"));
    }
    let ok = |c: char| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c);
    if rest.is_empty() || !rest.chars().all(ok) {
        return Err(format!("`{}` is no address of a node; write https://HOST:8443", url.escape_debug()));
    }
    let (host, port) = match rest.rsplit_once(':') {
        // An IPv6 address without a port is full of colons.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    match port.map_or(Ok(8443), str::parse::<u16>) {
        Ok(port) if port != 0 && !host.is_empty() => Ok(format!("{host}:{port}")),
        _ => Err(format!("`{url}` has no port that can be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_addresses_are_read_as_people_write_them() {
        let rows = [
            ("https://10.0.0.1:8443", Some("10.0.0.1:8443")),
            ("https://10.0.0.1:8443/", Some("10.0.0.1:8443")),
            ("10.0.0.1", Some("10.0.0.1:8443")),
            ("node-1:443", Some("node-1:443")),
            ("fd00::1", Some("[fd00::1]:8443")),
            ("https://[fd00::1]:1", Some("[fd00::1]:1")),
            ("[fd00::1]", Some("[fd00::1]:8443")),
            ("http://10.0.0.1", None),
            ("https://", None),
            ("node-1:0", None),
            ("node-1:70000", None),
            ("a b", None),
            ("a\u{1b}[2J", None),
        ];
        for (url, want) in rows {
            assert_eq!(address(url).ok().as_deref(), want, "{url}");
        }
    }

    #[test]
    fn cli_contexts_are_kept_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maekin/config.toml");
        assert_eq!(Config::load(&path).unwrap(), Config::default(), "no file is no contexts");
        let context = Context {
            cluster: "rack".into(),
            ca_sha256: "ab".into(),
            endpoints: vec!["https://10.0.0.1:8443".into()],
            user: "admin".into(),
            token: "secret".into(),
            ..Context::default()
        };
        let config = Config { current: "rack".into(), contexts: [("rack".to_owned(), context)].into() };
        config.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Config::load(&path).unwrap(), config);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let fault = Config::load(&path).unwrap_err();
        assert!(fault.reason.contains("640") && fault.remedy.contains("chmod 600"), "{fault}");
    }

    #[test]
    fn cli_contexts_are_picked_by_name() {
        let config = Config::parse(
            "current = \"a\"\n[contexts.a]\nca_sha256 = \"x\"\nendpoints = []\nuser = \"u\"\nnewer = 1\n",
        )
        .unwrap();
        assert_eq!(config.pick(None).unwrap().0, "a");
        assert_eq!(config.pick(Some("b")).unwrap_err().reason, "there are: a");
        assert!(Config::default().pick(None).unwrap_err().remedy.contains("maekin login"));
        assert!(Config::parse("contexts = 3").is_err());
    }

    #[test]
    fn cli_the_file_of_contexts_has_one_place() {
        type Env = &'static [(&'static str, &'static str)];
        let rows: [(&str, Env, &str); 4] = [
            ("named", &[("MAEKIN_CONFIG", "/x/c.toml"), ("HOME", "/h")], "/x/c.toml"),
            ("xdg", &[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")], "/x/maekin/config.toml"),
            (
                "relative xdg counts for nothing",
                &[("XDG_CONFIG_HOME", "x"), ("HOME", "/h")],
                "/h/.config/maekin/config.toml",
            ),
            ("home", &[("HOME", "/h")], "/h/.config/maekin/config.toml"),
        ];
        for (name, env, want) in rows {
            let get = |key: &str| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
            assert_eq!(place(get), Path::new(want), "{name}");
        }
    }
}

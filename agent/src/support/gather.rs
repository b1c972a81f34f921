//! Each item as text, none without a bound; one that cannot be had is the reason why.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::file::read_text;
use maekin_rootfs::node::{ClusterIntent, NodeConfig};

use super::plan::{Item, MOST, Source};
use super::secret_files;
use crate::cli::block_on;
use crate::errors::chain;
use crate::http::client::Target;
use crate::settings::Settings;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Shortest text that counts as a secret by itself; shorter ones would blot out half of a log.
const SHORTEST: usize = 8;
/// Largest file that is read for its secrets, bytes.
const SECRET_FILE: u64 = 1 << 20;

/// The text of an item.
pub(super) fn gather(settings: &Settings, item: &Item) -> String {
    match &item.source {
        Source::Text(text) => (*text).to_owned(),
        Source::NodeFile => node_file(&settings.node_file()),
        Source::File(path) => file(path),
        Source::Command(line) => command(line),
        Source::Api(path) => answer(settings, path),
    }
}

fn command(line: &[&'static str]) -> String {
    // What a program says is worth having however it ended (`systemctl status` fails for a service that does), and so
    // is why it says nothing. The shell joins the two outputs, and reads nothing of the line itself.
    let joined = Cmd::new("sh").args(["-c", "exec \"$@\" 2>&1", "sh"]).args(line);
    let cmd = joined.limit(LIMIT).any_status().most(MOST);
    cmd.text().unwrap_or_else(|e| format!("{}\n", chain(&e)))
}

/// The beginning of a file. Files of the kernel have no length, and may be very long.
fn file(path: &Path) -> String {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST as u64).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|e| format!("{}: {e}\n", path.display()))
}

fn answer(settings: &Settings, path: &str) -> String {
    let target = Target::Socket(settings.socket());
    match block_on(target.get::<serde_json::Value>(path)) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_else(|e| e.to_string()),
        Err(e) => format!("{e:#}\n"),
    }
}

/// The node file as it is understood, without the secrets that it has. One that is not understood is not sent at all.
fn node_file(path: &Path) -> String {
    let text = match read_text(path, SECRET_FILE) {
        Ok(text) => text,
        Err(e) => return format!("{}\n", chain(&e)),
    };
    let Ok(mut config) = toml::from_str::<NodeConfig>(&text) else {
        return "the node file is not understood, and left out for what may be in it\n".to_owned();
    };
    config.admin.password_hash = config.admin.password_hash.map(|_| "[removed]".to_owned());
    if let ClusterIntent::Join { secret, .. } = &mut config.cluster {
        "[removed]".clone_into(secret);
    }
    toml::to_string(&config).unwrap_or_else(|e| format!("{e}\n"))
}

/// Texts that must not appear anywhere in the bundle.
pub(super) fn secrets(settings: &Settings) -> Vec<String> {
    let mut secrets = Vec::new();
    for path in secret_files(settings) {
        let text = read_text(&path, SECRET_FILE).unwrap_or_default();
        if text.contains("CERTIFICATE-----") && !text.contains("PRIVATE KEY") {
            continue; // everybody may have those
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        secrets.extend(lines.map(str::to_owned));
    }
    if let Ok(config) =
        toml::from_str::<NodeConfig>(&read_text(&settings.node_file(), SECRET_FILE).unwrap_or_default())
    {
        secrets.extend(config.admin.password_hash);
        if let ClusterIntent::Join { secret, .. } = config.cluster {
            secrets.push(secret);
        }
    }
    secrets.retain(|secret| secret.len() >= SHORTEST);
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len())); // a longer one may hold a shorter one
    secrets.dedup();
    secrets
}

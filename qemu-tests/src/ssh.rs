//! Commands on a node by ssh, through its forwarded port, with a key made for the rack.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use maekin_host::cmd::Cmd;

/// The name of the private key in a rack's directory.
const KEY: &str = "ssh-key";

/// Makes a key pair in `dir` and returns its public half.
///
/// # Errors
/// What `ssh-keygen` says.
pub fn make_key(dir: &Path) -> anyhow::Result<String> {
    let key = key(dir);
    if !key.exists() {
        Cmd::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "rack", "-f"]).arg(&key).run()?;
    }
    let public = key.with_extension("pub");
    let text =
        std::fs::read_to_string(&public).with_context(|| format!("cannot read {}", public.display()))?;
    Ok(text.trim().to_owned())
}

/// Where the private key of the rack in `dir` is.
#[must_use]
pub fn key(dir: &Path) -> PathBuf {
    dir.join(KEY)
}

/// The command that runs `command` on the node behind `port`, as root. The host key is not checked: the node made it
/// a moment ago, and QEMU's own port leads there.
#[must_use]
pub fn command(key: &Path, port: u16, command: &str, limit: Duration) -> Cmd {
    let options =
        ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"];
    let options = options.iter().flat_map(|o| ["-o", o]);
    Cmd::new("ssh")
        .args(options)
        .args(["-o", "ConnectTimeout=30", "-i"])
        .arg(key)
        .args(["-p", &port.to_string(), "root@127.0.0.1", command])
        .limit(limit)
}

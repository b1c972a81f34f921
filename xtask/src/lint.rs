//! Format, lints, documentation, licences, and the repository itself.

use anyhow::bail;
use maekin_host::cmd::Cmd;

use crate::{cargo, licences, step, workspace};

/// The largest file that belongs into the repository; Cargo.lock and packages.lock are well below.
const MAX_FILE: u64 = 1 << 20;
/// Crates that must not come in: a second TLS provider makes rustls panic at start-up.
const BANNED: [&str; 3] = ["aws-lc-rs", "openssl-sys", "native-tls"];
/// What a private key begins with, split so that this file does not hold it.
const SECRETS: [[&str; 2]; 3] =
    [["PRIVATE ", "KEY-----"], ["minisign encrypted ", "secret key"], ["rsign encrypted ", "secret key"]];

/// Runs all of them.
///
/// # Errors
/// The first that fails.
pub(crate) fn run() -> anyhow::Result<()> {
    step::run("format", || Ok(cargo().args(["fmt", "--all", "--check"]).run()?))?;
    step::run("repository", repository)?;
    step::run("licences", licences::check)?;
    step::run("lints", || {
        let clippy = cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--quiet"]);
        Ok(clippy.args(["--", "-D", "warnings"]).run()?)
    })?;
    step::run("documentation", || {
        let doc = cargo().args(["doc", "--locked", "--workspace", "--no-deps", "--quiet"]);
        Ok(doc.env("RUSTDOCFLAGS", "-D warnings").run()?)
    })
}

fn repository() -> anyhow::Result<()> {
    let git = || Cmd::new("git").dir(workspace());
    let mut faults = Vec::new();
    for path in git().args(["ls-files", "-z"]).text()?.split_terminator('\0') {
        match std::fs::symlink_metadata(workspace().join(path)) {
            Ok(meta) if meta.len() > MAX_FILE => {
                faults.push(format!(
                    "{path} has {} KiB; at most {} KiB belong here",
                    meta.len() / 1024,
                    MAX_FILE / 1024
                ));
            }
            _ => {} // removed and not committed yet
        }
    }
    for [a, b] in SECRETS {
        // git grep ends with 1 when there is none.
        if let Ok(found) = git().args(["grep", "-lF", "-e", &format!("{a}{b}")]).text() {
            faults.extend(found.lines().map(|path| format!("{path} holds a private key")));
        }
    }
    let lock = std::fs::read_to_string(workspace().join("Cargo.lock"))?;
    faults.extend(
        banned(&lock)
            .map(|name| format!("Cargo.lock has {name}: see what brings it in with `cargo tree -i {name}`")),
    );
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn banned(lock: &str) -> impl Iterator<Item = &'static str> {
    BANNED.into_iter().filter(move |name| lock.contains(&format!("name = \"{name}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_crates_are_found_by_whole_name() {
        assert_eq!(banned("name = \"aws-lc-rs\"\n").collect::<Vec<_>>(), ["aws-lc-rs"]);
        assert_eq!(banned("name = \"aws-lc-rs-free\"\n").count(), 0);
    }
}

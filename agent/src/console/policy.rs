//! What the console menu may give: as the node's settings say, where they say it, else as `console-shell` said here. Each
//! is a file; one that is not understood forbids. Where nobody can log in by ssh any more there is a shell whatever they say:
//! somebody has to be able to put the record back when its quorum is lost for good.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ValueEnum;
use maekin_host::file::{read_text, write_atomic};
use maekin_rootfs::node::NodeConfig;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Largest file, bytes.
const LARGEST: u64 = 4096;

/// What the menu may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// A shell, to whoever knows the password.
    pub(crate) shell: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { shell: true }
    }
}

impl Policy {
    /// As it is now.
    pub(super) fn load(settings: &Settings) -> Self {
        let said = Self::said(settings);
        // Whoever locked it had an ssh key then; settings of the cluster may have taken it away since.
        if !said.shell && ssh_keys(settings) == Some(false) {
            return Self { shell: true };
        }
        said
    }

    /// As the files say.
    fn said(settings: &Settings) -> Self {
        let Some(path) = [of_settings(settings), file(settings)].into_iter().find(|path| path.exists())
        else {
            return Self::default();
        };
        let read = || serde_json::from_str(&read_text(&path, LARGEST).ok()?).ok();
        read().unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), "the policy of the console is not understood; there is no shell");
            Self { shell: false }
        })
    }
}

/// Where the node's settings say it; absent where they do not.
pub(crate) fn of_settings(settings: &Settings) -> PathBuf {
    settings.state.join("console-settings.json")
}

fn file(settings: &Settings) -> PathBuf {
    settings.state.join("console.json")
}

/// What to do with the shell of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// The menu gives one, to whoever knows the admin password.
    On,
    /// It gives none.
    Off,
    /// Say how it is.
    Show,
}

/// `console-shell`.
///
/// # Errors
/// When it cannot be written, or nobody could take it back.
pub(crate) fn shell(settings: &Settings, what: Shell) -> anyhow::Result<()> {
    if what == Shell::Off && ssh_keys(settings) != Some(true) {
        bail!(
            "nobody could switch it on again: no ssh key may log in on this node; name one in its answer file, \
             `[admin] ssh_keys`"
        );
    }
    if what != Shell::Show && of_settings(settings).exists() {
        bail!(
            "the settings of this node say it; change them (`console_shell`, `maekin describe settings NODE`), or take \
             that out of them"
        );
    }
    if what != Shell::Show {
        let policy = Policy { shell: what == Shell::On };
        let text = serde_json::to_vec(&policy).context("the policy cannot be written")?;
        write_atomic(&file(settings), &text, 0o600)?;
        tracing::warn!(
            event = "console-policy",
            shell = policy.shell,
            "the policy of the console was changed"
        );
    }
    let word = if Policy::load(settings).shell { "on" } else { "off" };
    println!("the shell of the console menu is {word}");
    Ok(())
}

/// Whether an ssh key may log in on this node; `None` where its node file is not understood.
fn ssh_keys(settings: &Settings) -> Option<bool> {
    let text = read_text(&settings.node_file(), 1 << 20).ok()?;
    let config = toml::from_str::<NodeConfig>(&text).ok()?;
    Some(!config.admin.ssh_keys.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn console_policy_what_is_not_understood_forbids() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::below(dir.path());
        fs::create_dir_all(&settings.state).unwrap();
        let rows = [
            ("none", None, true),
            ("on", Some(r#"{"shell":true}"#), true),
            ("off", Some(r#"{"shell":false}"#), false),
            ("empty", Some(""), false),
            ("another word", Some(r#"{"shel":true}"#), false),
            ("of a newer release", Some(r#"{"shell":true,"more":1}"#), false),
        ];
        for (name, text, want) in rows {
            let _ = fs::remove_file(file(&settings)); // there is none at first
            if let Some(text) = text {
                fs::write(file(&settings), text).unwrap();
            }
            assert_eq!(Policy::load(&settings).shell, want, "{name}");
        }
    }

    #[test]
    fn console_policy_settings_of_the_cluster_go_before_what_was_said_here() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::below(dir.path());
        fs::create_dir_all(&settings.state).unwrap();
        // The node's settings, what was said here, what holds.
        let rows = [
            (None, Some(r#"{"shell":false}"#), false),
            (Some(r#"{"shell":true}"#), Some(r#"{"shell":false}"#), true),
            (Some(r#"{"shell":false}"#), Some(r#"{"shell":true}"#), false),
            (Some("x"), Some(r#"{"shell":true}"#), false),
        ];
        for (cluster, here, want) in rows {
            for (path, text) in [(of_settings(&settings), cluster), (file(&settings), here)] {
                let _ = fs::remove_file(&path); // there is none at first
                if let Some(text) = text {
                    fs::write(path, text).unwrap();
                }
            }
            assert_eq!(Policy::load(&settings).shell, want, "{cluster:?} {here:?}");
        }
        assert!(shell(&settings, Shell::On).is_err(), "what the cluster says is changed there");
        shell(&settings, Shell::Show).unwrap();
    }

    #[test]
    fn console_policy_the_shell_goes_only_where_somebody_can_bring_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::below(dir.path());
        fs::create_dir_all(&settings.state).unwrap();
        let e = shell(&settings, Shell::Off).unwrap_err();
        assert!(e.to_string().contains("ssh_keys") && Policy::load(&settings).shell, "{e}");
        let node = "version = 1\ninstall_id = \"12f07768-21c8-5fbc-ba5c-2473ab2f6ef4\"\nmachine_id = \"x\"\n\
            hostname = \"n\"\nadmin = { ssh_keys = [\"ssh-ed25519 A m\"] }\ncluster = { mode = \"create\", name = \"c\" }\n";
        fs::write(settings.node_file(), node).unwrap();
        shell(&settings, Shell::Off).unwrap();
        assert!(!Policy::load(&settings).shell);
        shell(&settings, Shell::On).unwrap();
        assert!(Policy::load(&settings).shell);

        // The keys are taken away afterwards, by settings of the cluster: whoever said that there be no shell, there is one.
        let without = node.replace("\"ssh-ed25519 A m\"", "");
        let rows = [
            ("said here", file(&settings), r#"{"shell":false}"#),
            ("said by the settings", of_settings(&settings), r#"{"shell":false}"#),
            ("not understood", of_settings(&settings), "x"),
        ];
        for (name, path, text) in rows {
            fs::write(&path, text).unwrap();
            for (node, want) in [(node, false), (without.as_str(), true), ("what is this", false)] {
                fs::write(settings.node_file(), node).unwrap();
                assert_eq!(Policy::load(&settings).shell, want, "{name}: {node}");
            }
        }
    }
}

//! Whether the console menu gives a shell. It does in any case where nobody could log in otherwise: somebody has to be
//! able to put the record back when its quorum is lost for good.

use maekin_api::settings::condition;
use maekin_host::file::{read_text, write_atomic};

use super::blocking;
use crate::console::policy::{Policy, of_settings};
use crate::desired::applier::{Applier, Outcome, Wanted, Work};
use crate::desired::files::{ApplyError, remove};
use crate::settings::Settings;

/// Nobody could log in otherwise.
const NO_OTHER_WAY: &str = "NoOtherWayIn";

pub(super) struct Console {
    pub(super) settings: Settings,
}

/// What the settings' own file shall say; `None`: nothing. Pure.
fn plan(wanted: &Wanted) -> (Option<Policy>, Outcome) {
    match wanted.spec.console_shell {
        None => (None, Outcome::is(false)),
        Some(false) if wanted.ssh_keys().is_empty() => {
            let why = "nobody could log in otherwise: name an ssh key (`ssh_keys`), or leave the shell on";
            (None, Outcome::failed(NO_OTHER_WAY, why))
        }
        Some(shell) => (Some(Policy { shell }), Outcome::is(true)),
    }
}

impl Applier for Console {
    fn condition(&self) -> &'static str {
        condition::CONSOLE_SHELL
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        let path = of_settings(&self.settings);
        let (policy, outcome) = plan(wanted);
        Box::pin(blocking(move || {
            let Some(policy) = policy else {
                remove(&path)?;
                return Ok(outcome);
            };
            let text = format!("{{\"shell\":{}}}\n", policy.shell);
            let same = path.exists() && read_text(&path, 4096).is_ok_and(|found| found == text);
            if !same {
                write_atomic(&path, text.as_bytes(), 0o600).map_err(ApplyError::File)?;
                let shell = policy.shell;
                tracing::warn!(event = "console-policy", shell, "the policy of the console was changed");
            }
            Ok(outcome)
        }))
    }
}

#[cfg(test)]
mod tests {
    use maekin_api::settings::{ConditionStatus, NodeSettings};

    use super::*;
    use crate::desired::node_file::Installed;

    #[test]
    fn console_settings_leave_a_way_in() {
        let key = || vec!["ssh-ed25519 A m".to_owned()];
        // What the settings say of the shell and of keys, which keys were installed, what holds.
        let rows = [
            (None, None, vec![], None, ConditionStatus::True),
            (Some(true), None, vec![], Some(true), ConditionStatus::True),
            (Some(false), None, vec![], None, ConditionStatus::False),
            (Some(false), None, key(), Some(false), ConditionStatus::True),
            (Some(false), Some(key()), vec![], Some(false), ConditionStatus::True),
            (Some(false), Some(vec![]), key(), None, ConditionStatus::False),
        ];
        for (console_shell, ssh_keys, installed, shell, status) in rows {
            let name = format!("{console_shell:?} {ssh_keys:?} {installed:?}");
            let wanted = Wanted {
                generation: 1,
                network_generation: 0,
                spec: NodeSettings { console_shell, ssh_keys, ..NodeSettings::default() },
                installed: Installed { ssh_keys: installed, ..Installed::default() },
            };
            let (policy, outcome) = plan(&wanted);
            assert_eq!((policy.map(|p| p.shell), outcome.status), (shell, status), "{name}");
        }
    }
}

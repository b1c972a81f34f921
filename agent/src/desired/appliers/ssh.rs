//! Who may log in by ssh. sshd reads the keys at every login; where there are none it is off, and its port is closed.
//! Sessions that are open stay so.

use maekin_api::settings::condition;
use maekin_rootfs::render::{AUTHORIZED_KEYS, FIREWALL};

use super::{blocking, systemctl};
use crate::desired::applier::{Applier, Outcome, Wanted, Work};
use crate::desired::files::follow_node_file;
use crate::desired::node_file;
use crate::settings::Settings;

pub(super) struct Ssh {
    pub(super) settings: Settings,
}

impl Applier for Ssh {
    fn condition(&self) -> &'static str {
        condition::SSH_KEYS
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        let settings = self.settings.clone();
        let (keys, set) = (wanted.ssh_keys().to_vec(), wanted.spec.ssh_keys.is_some());
        Box::pin(blocking(move || {
            let on = !keys.is_empty();
            node_file::update(&settings, |config| config.admin.ssh_keys = keys)?;
            // It makes its host key itself, at its first start; a start of what runs already does nothing.
            let verb = if on { "start" } else { "stop" };
            follow_node_file(&settings, "ssh", &[AUTHORIZED_KEYS], || {
                systemctl(&settings, &[verb, "ssh.service"])
            })?;
            follow_node_file(&settings, "firewall", &[FIREWALL], || {
                systemctl(&settings, &["reload-or-restart", "nftables.service"])
            })?;
            Ok(Outcome::is(set))
        }))
    }
}

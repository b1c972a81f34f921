//! NTP servers, for systemd-timesyncd (timesyncd.conf(5)).

use maekin_api::settings::condition;
use maekin_rootfs::render::TIMESYNCD;

use super::{blocking, systemctl};
use crate::desired::applier::{Applier, Outcome, Wanted, Work};
use crate::desired::files::follow_node_file;
use crate::desired::node_file;
use crate::settings::Settings;

pub(super) struct Time {
    pub(super) settings: Settings,
}

impl Applier for Time {
    fn condition(&self) -> &'static str {
        condition::TIME
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        let (settings, ntp, set) = (self.settings.clone(), wanted.ntp().to_vec(), wanted.spec.ntp.is_some());
        Box::pin(blocking(move || {
            node_file::update(&settings, |config| config.time.ntp = ntp)?;
            follow_node_file(&settings, "time", &[TIMESYNCD], || {
                systemctl(&settings, &["try-restart", "systemd-timesyncd.service"])
            })?;
            Ok(Outcome::is(set))
        }))
    }
}

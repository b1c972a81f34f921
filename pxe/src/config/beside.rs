//! The `[beside]` part of the configuration file: what is done about other DHCP servers on the network.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, wrong};
use crate::dhcp::foreign::{Mode, Timing};
use crate::dhcp::proxy::{ProxyLoader, ProxyStyle};

/// Longest of its times, seconds.
const LONGEST: u64 = 86_400;

/// The part as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BesideFile {
    /// Whether addresses are given: `auto`, `server`, `proxy` or `off`.
    pub mode: Mode,
    /// How long it is looked for other DHCP servers before the first address is given.
    pub look_seconds: u64,
    /// How often it is asked whether there are others.
    pub probe_seconds: u64,
    /// How long nothing must have been heard of another before addresses are given again.
    pub silence_seconds: u64,
    /// How UEFI firmware is told its boot file beside another DHCP server: `binl` or `direct`.
    pub uefi: ProxyStyle,
    /// What UEFI then loads by TFTP: `ipxe` or `shim`.
    pub loader: ProxyLoader,
}

impl Default for BesideFile {
    fn default() -> Self {
        let Timing { look, probe, silence } = Timing::default();
        Self {
            mode: Mode::default(),
            look_seconds: look.as_secs(),
            probe_seconds: probe.as_secs(),
            silence_seconds: silence.as_secs(),
            uefi: ProxyStyle::default(),
            loader: ProxyLoader::default(),
        }
    }
}

impl BesideFile {
    pub(super) fn timing(&self) -> Result<Timing, ConfigError> {
        let checked = |key: &'static str, seconds: u64, least: u64| match seconds {
            s if (least..=LONGEST).contains(&s) => Ok(Duration::from_secs(s)),
            s => wrong(key, format!("{s} is not between {least} and {LONGEST}")),
        };
        let timing = Timing {
            look: checked("beside.look_seconds", self.look_seconds, 0)?,
            probe: checked("beside.probe_seconds", self.probe_seconds, 1)?,
            silence: checked("beside.silence_seconds", self.silence_seconds, 1)?,
        };
        if timing.silence <= timing.probe {
            return wrong(
                "beside.silence_seconds",
                "not longer than probe_seconds: nobody would be asked in between",
            );
        }
        Ok(timing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_what_is_refused() {
        type Row<'a> = (&'a str, Result<(Mode, u64), &'a str>);
        let rows: &[Row<'_>] = &[
            ("", Ok((Mode::Auto, 300))),
            ("mode = \"proxy\"", Ok((Mode::Proxy, 300))),
            ("mode = \"off\"\nlook_seconds = 0\nsilence_seconds = 31", Ok((Mode::Off, 31))),
            ("silence_seconds = 30", Err("not longer than probe_seconds")),
            ("probe_seconds = 0", Err("0 is not between 1 and 86400")),
            ("look_seconds = 90000", Err("90000 is not between 0 and 86400")),
            ("mode = \"fight\"", Err("unknown variant")),
            ("colour = 1", Err("unknown field")),
        ];
        for (text, wanted) in rows {
            let got = toml::from_str::<BesideFile>(text).map_err(ConfigError::from);
            let got = got.and_then(|file| Ok((file.mode, file.timing()?.silence.as_secs())));
            match (got, wanted) {
                (Ok(got), Ok(wanted)) => assert_eq!(got, *wanted, "{text}"),
                (Err(e), Err(wanted)) => assert!(e.to_string().contains(wanted), "{text}: {e}"),
                (got, wanted) => panic!("{text}: {got:?}, not {wanted:?}"),
            }
        }
    }
}

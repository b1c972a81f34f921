//! A management controller by IPMI 2.0 over the network (RMCP+), spoken by `ipmitool`. The password goes to it in its
//! environment, which only root can read, never on its command line, which everybody can.

mod answers;

use std::time::Duration;

use maekin_api::power::{Firmware, Power};
use maekin_host::cmd::{Cmd, CmdError};

use super::drive::{Controller, Switch};
use super::errors::BmcError;
use super::settings::{IpmiWay, authority};
use answers::{BootFlags, diagnose, parse_flags, parse_power};

/// Longest time of one run of `ipmitool`: with [`Patience::REAL`] it gives up sooner by itself.
const LIMIT: Duration = Duration::from_secs(20);

/// How long `ipmitool` waits for an answer to a packet, and how often it sends it again. A wrong password costs one try
/// of the account, whatever stands here.
#[derive(Debug, Clone, Copy)]
struct Patience {
    seconds: u32,
    again: u32,
}

impl Patience {
    /// For real controllers: 12 s until one is given up that does not answer.
    const REAL: Self = Self { seconds: 2, again: 2 };
}

/// A controller, asked by `ipmitool`.
pub(super) struct Ipmi {
    way: IpmiWay,
    program: String,
    patience: Patience,
}

impl Ipmi {
    /// A controller; nothing is asked yet.
    pub(super) fn new(way: IpmiWay) -> Self {
        Self { way, program: "ipmitool".to_owned(), patience: Patience::REAL }
    }

    /// The command that asks for `words`.
    fn command(&self, words: &[&str]) -> Cmd {
        let way = &self.way;
        let mut cmd = Cmd::new(&self.program)
            // -v says why a session cannot be had: without it every reason reads the same.
            .args(["-v", "-I", "lanplus", "-H", &way.host])
            .args(["-N", &self.patience.seconds.to_string(), "-R", &self.patience.again.to_string()])
            .args(["-p", &way.port.to_string(), "-U", &way.user, "-E"])
            .env("IPMI_PASSWORD", way.password.expose())
            .limit(LIMIT);
        if let Some(suite) = way.cipher_suite {
            cmd = cmd.args(["-C", &suite.to_string()]);
        }
        cmd.args(words)
    }

    /// Asks for `words`, which do `what`.
    async fn ask(&self, what: &str, words: &[&str]) -> Result<String, BmcError> {
        let cmd = self.command(words);
        let run = tokio::task::spawn_blocking(move || cmd.text()).await;
        let result =
            run.map_err(|e| BmcError::Local(format!("the task that runs ipmitool ended early: {e}")))?;
        result.map_err(|e| self.explain(what, e))
    }

    fn explain(&self, what: &str, error: CmdError) -> BmcError {
        match error {
            CmdError::Failed { stderr, .. } => diagnose(&self.way, what, &stderr),
            CmdError::TimedOut { .. } => {
                let seconds = LIMIT.as_secs();
                BmcError::TooSlow { address: self.address(), step: what.to_owned(), seconds }
            }
            CmdError::Start { source, .. } => BmcError::Local(format!("ipmitool does not start: {source}")),
            CmdError::Output { source, .. } => BmcError::Local(source.to_string()),
        }
    }

    fn garbled(&self, what: &str, output: &str) -> BmcError {
        let (address, what) = (self.address(), what.to_owned());
        let secrets = [self.way.password.expose()];
        BmcError::Garbled { address, what, why: format!("`{}`", super::errors::told(output, &secrets)) }
    }
}

impl Controller for Ipmi {
    fn address(&self) -> String {
        authority(&self.way.host, self.way.port)
    }

    async fn power(&mut self) -> Result<Power, BmcError> {
        let what = "tell whether the machine is on";
        let text = self.ask(what, &["chassis", "power", "status"]).await?;
        parse_power(&text).ok_or_else(|| self.garbled(what, &text))
    }

    async fn netboot_once(&mut self) -> Result<Vec<String>, BmcError> {
        let what = "set the boot from the network";
        let mut words = vec!["chassis", "bootdev", "pxe"];
        if self.way.firmware == Some(Firmware::Uefi) {
            words.push("options=efiboot");
        }
        self.ask(what, &words).await?;
        // Get System Boot Options, parameter 5, IPMI 2.0 section 28.13: as bytes, which every version prints alike.
        let read = "show its boot device";
        let text = self.ask(read, &["raw", "0x00", "0x09", "0x05", "0x00", "0x00"]).await?;
        let flags = parse_flags(&text).ok_or_else(|| self.garbled(read, &text))?;
        check_flags(flags, self.way.firmware).map_err(|found| {
            let (address, what) = (self.address(), what.to_owned());
            BmcError::Lied { address, what, found }
        })
    }

    async fn switch(&mut self, to: Switch) -> Result<(), BmcError> {
        let (what, word) = match to {
            Switch::On => ("switch the machine on", "on"),
            Switch::Off => ("switch the machine off", "off"),
            Switch::Restart => ("start the machine anew", "reset"),
        };
        self.ask(what, &["chassis", "power", word]).await.map(drop)
    }
}

/// Holds what was read back against what was set. What is doubtful, but common among controllers that obey, is a note.
fn check_flags(flags: BootFlags, firmware: Option<Firmware>) -> Result<Vec<String>, String> {
    if !flags.pxe {
        return Err("its boot flags do not name the network".to_owned());
    }
    let mut notes = Vec::new();
    if !flags.valid {
        notes.push("the controller does not mark the wish as valid, and may not obey it".to_owned());
    }
    if firmware == Some(Firmware::Uefi) && !flags.uefi {
        notes.push("the controller did not keep that it is to be a UEFI start".to_owned());
    }
    if flags.persistent {
        notes.push("the controller made it its boot device for ever".to_owned());
    }
    Ok(notes)
}

#[cfg(test)]
pub(super) mod tests;

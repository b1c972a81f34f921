//! What the kernel command line tells us. Pure: the reader of `/proc/cmdline` is the caller.

use uuid::Uuid;

/// Our words on the kernel command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cmdline {
    /// `maekin.id=`: the installation to start.
    pub id: Option<String>,
    /// `maekin.slot=`: its system slot.
    pub slot: Option<String>,
    /// `maekin.drives=`: on how many drives it was installed.
    pub drives: Option<usize>,
    /// `maekin.keep=`: the boot drive that is right, where that cannot be decided: `0`, `1`, or a serial number.
    pub keep: Option<String>,
    /// `maekin.master=`: install master to ask.
    pub master: Option<String>,
    /// `maekin.ticket=`: what to ask it for.
    pub ticket: Option<String>,
    /// `maekin.wait=`: nobody has let this machine in yet; the code that the master knows it by.
    pub wait: Option<String>,
    /// `maekin.ask`: a person at the console answers, whatever other answers there are.
    pub ask: bool,
    /// `maekin.answer=`: address of an answer file.
    pub answer: Option<String>,
    /// `maekin.answer.sha256=`: its digest.
    pub answer_sha256: Option<String>,
    /// `maekin.answer.pin=`: digest of its server's certificate.
    pub answer_pin: Option<String>,
    /// `BOOTIF=`: hardware address of the interface that the network boot came from, `aa:bb:cc:dd:ee:ff`.
    pub boot_mac: Option<String>,
}

/// The installation that the command line names, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The installation.
    pub install: Uuid,
    /// `a` or `b`.
    pub slot: Slot,
    /// On how many drives it was installed.
    pub drives: usize,
}

/// A system slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// `a` or `b`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// The command line does not say what to start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kernel command line has {0}; start the machine from its own disk")]
pub struct BadCmdline(String);

/// Parses the kernel command line. The last of several equal words counts.
#[must_use]
pub fn parse(text: &str) -> Cmdline {
    let mut found = Cmdline::default();
    for word in text.split_whitespace() {
        found.ask |= word == "maekin.ask";
        let Some((key, value)) = word.split_once('=') else { continue };
        let value = Some(value.to_owned()).filter(|v| !v.is_empty());
        match key {
            "maekin.id" => found.id = value,
            "maekin.slot" => found.slot = value,
            "maekin.drives" => found.drives = value.and_then(|v| v.parse().ok()),
            "maekin.keep" => found.keep = value,
            "maekin.master" => found.master = value,
            "maekin.ticket" => found.ticket = value,
            "maekin.wait" => found.wait = value,
            "maekin.answer" => found.answer = value,
            "maekin.answer.sha256" => found.answer_sha256 = value,
            "maekin.answer.pin" => found.answer_pin = value,
            "BOOTIF" => found.boot_mac = value.as_deref().and_then(parse_bootif),
            _ => {}
        }
    }
    found
}

/// `01-aa-bb-cc-dd-ee-ff`: hardware type 1 (Ethernet, RFC 1700), then the address.
fn parse_bootif(value: &str) -> Option<String> {
    let mac = value.strip_prefix("01-")?.to_lowercase().replace('-', ":");
    maekin_rootfs::validate::is_mac(&mac).then_some(mac)
}

impl Cmdline {
    /// Which installation to start.
    ///
    /// # Errors
    /// [`BadCmdline`].
    pub fn start(&self) -> Result<Start, BadCmdline> {
        let bad = |what: String| Err(BadCmdline(what));
        let Some(id) = &self.id else { return bad("no maekin.id=".to_owned()) };
        let Ok(install) = id.parse() else { return bad(format!("maekin.id={id}, which is no UUID")) };
        let slot = match self.slot.as_deref() {
            Some("a") => Slot::A,
            Some("b") => Slot::B,
            Some(other) => return bad(format!("maekin.slot={other}, which is neither a nor b")),
            None => return bad("no maekin.slot=".to_owned()),
        };
        Ok(Start { install, slot, drives: self.drives.unwrap_or(2).clamp(1, 2) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_words_are_found_among_others() {
        let got = parse(
            "quiet maekin.install maekin.master=http://10.0.0.1:8480 maekin.ticket=abc BOOTIF=01-52-54-00-AA-00-01",
        );
        assert_eq!(got.master.as_deref(), Some("http://10.0.0.1:8480"));
        assert_eq!(got.ticket.as_deref(), Some("abc"));
        assert_eq!(got.boot_mac.as_deref(), Some("52:54:00:aa:00:01"));
        assert_eq!(parse("maekin.keep=1 maekin.keep=S3Z9").keep.as_deref(), Some("S3Z9"));
        assert_eq!(parse("BOOTIF=20-52-54 maekin.ticket="), Cmdline::default());
    }

    #[test]
    fn what_to_start_is_told_or_the_reason_why_not() {
        let id = "00000000-0000-0000-0000-000000000007";
        let start = |text: &str| parse(text).start().map_err(|e| e.to_string());
        let good = Start { install: Uuid::from_u128(7), slot: Slot::B, drives: 1 };
        assert_eq!(start(&format!("maekin.id={id} maekin.slot=b maekin.drives=1")), Ok(good));
        for (text, want) in [
            ("".to_owned(), "no maekin.id="),
            ("maekin.id=x maekin.slot=a".to_owned(), "no UUID"),
            (format!("maekin.id={id}"), "no maekin.slot="),
            (format!("maekin.id={id} maekin.slot=c"), "neither a nor b"),
        ] {
            assert!(start(&text).unwrap_err().contains(want), "{text}");
        }
        let odd = start(&format!("maekin.id={id} maekin.slot=a maekin.drives=99")).unwrap();
        assert_eq!(odd.drives, 2);
    }
}

//! Asks all sources. Only what is near is read at once; what must be fetched is fetched when it was chosen.

use std::path::Path;

use maekin_host::{file, smbios};

use super::url::AnswerUrl;
use super::{Content, Kind, Offer, oem};
use crate::answers::LIMIT;
use crate::cmdline::Cmdline;
use crate::source::medium;

/// Where the kernel's qemu_fw_cfg module shows the blob `opt/maekin/answer`.
const FW_CFG: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/maekin/answer/raw";

/// Every source that speaks, in no order.
#[must_use]
pub fn listen(words: &Cmdline) -> Vec<Offer> {
    let mut offers = from_cmdline(words);
    offers.extend(medium::find_answers().into_iter().map(from_partition));
    offers.extend(oem::offer(&smbios::oem_strings()));
    if Path::new(FW_CFG).exists() {
        let text = file::read_text(Path::new(FW_CFG), LIMIT);
        offers.push(Offer {
            kind: Kind::FwCfg,
            place: "fw_cfg (opt/maekin/answer)".to_owned(),
            content: text.map_or_else(|e| Content::Broken(chain(&e)), Content::Text),
        });
    }
    offers
}

/// What the kernel command line says about answers. Pure.
#[must_use]
pub fn from_cmdline(words: &Cmdline) -> Vec<Offer> {
    let mut offers = Vec::new();
    let mut add = |kind, place: String, content| offers.push(Offer { kind, place, content });
    if words.ask {
        add(Kind::Console, "the person at the console (maekin.ask)".to_owned(), Content::Ask);
    }
    if let Some(url) = &words.answer {
        let content = AnswerUrl::new(url, words.answer_sha256.as_deref(), words.answer_pin.as_deref())
            .map_or_else(Content::Broken, Content::Url);
        add(Kind::CommandLine, "the address on the kernel command line (maekin.answer)".to_owned(), content);
    } else if words.answer_sha256.is_some() || words.answer_pin.is_some() {
        let reason = "maekin.answer.sha256= and maekin.answer.pin= are of no use without maekin.answer=URL";
        add(Kind::CommandLine, "the command line".to_owned(), Content::Broken(reason.to_owned()));
    }
    if let (Some(master), Some(_)) = (&words.master, &words.ticket) {
        add(Kind::Ticket, format!("the install master {master}"), Content::Ticket);
    }
    offers
}

fn from_partition(found: medium::FoundAnswer) -> Offer {
    let device = found.device.display();
    let (kind, place) = if found.on_medium {
        (Kind::Medium, format!("the install medium ({device})"))
    } else {
        (Kind::Partition, format!("the partition {device} labelled {}", medium::ANSWER_LABEL))
    };
    Offer { kind, place, content: found.text.map_or_else(Content::Broken, Content::Text) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text += &format!(": {e}");
        cause = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmdline::parse;

    #[test]
    fn the_command_line_is_understood_or_refused_with_the_reason() {
        let digest = "ab".repeat(32);
        let said = |text: &str| {
            let mut offers = from_cmdline(&parse(text));
            offers.pop().map(|o| (o.kind, o.content, offers.len()))
        };
        assert_eq!(said("quiet maekin.install"), None);
        let good = format!("maekin.ask maekin.answer=http://a/b maekin.answer.sha256={digest}");
        let Some((Kind::CommandLine, Content::Url(url), 1)) = said(&good) else { panic!("{good}") };
        assert_eq!((url.url.as_str(), url.sha256.as_deref()), ("http://a/b", Some(digest.as_str())));
        for (text, want) in [
            ("maekin.answer=http://a/b", "could be altered"),
            ("maekin.answer=https://a/b", "no certificate authority"),
            ("maekin.answer=ftp://a/b", "neither"),
            ("maekin.answer=/etc/passwd", "neither"),
            ("maekin.answer=https://me:secret@a/b maekin.answer.pin=12", "has a password in it"),
            ("maekin.answer=https://a/b maekin.answer.pin=12", "64 hex digits"),
            ("maekin.answer.pin=12", "without maekin.answer"),
        ] {
            let Some((Kind::CommandLine, Content::Broken(reason), 0)) = said(text) else { panic!("{text}") };
            assert!(reason.contains(want) && !reason.contains("secret"), "{reason}");
        }
        let got = said("maekin.master=http://m maekin.ticket=t");
        assert_eq!(got, Some((Kind::Ticket, Content::Ticket, 0)));
    }
}

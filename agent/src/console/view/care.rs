//! The clock, the support bundle, and a new password.

use super::super::clock::{Clock, time_text};
use super::super::model::{Bundle, Model};
use super::pages::{field, fields, rule};
use super::{Line, Sheet, cut};

/// What a new password is, and who can set it.
const PASSWORD: &[&str] = &[
    "Sets the password of user `admin` anew on this node: for the API, this menu's shell, and whatever else asks for \
     it. The old one is not asked for.",
    "",
    "THE RISK: whoever can type here and press this machine's power button can do it, and so can whoever has its \
     management controller (BMC). Lock the rack, and keep the controllers on a network of their own.",
    "",
    "It is told as an alarm for 7 days and written to the journal. The agent starts anew, once, to take it up; \
     machines and data are not touched. It works while the node is no member of a cluster, too.",
    "",
    "n  begin: the new password twice, the word `reset`, then one short press of the power button within 60 s. \
     Meanwhile the button does nothing else. Do not hold it down: after 4 s the hardware switches off.",
];

/// What time it is, and from whom that is known.
pub(super) fn time(model: &Model, now: u64) -> Sheet {
    let head = vec![Line::bold(field("Time", &format!("{} UTC", time_text(now))))];
    let Some(clock) = &model.clock else {
        return Sheet { head, body: fields("Clock", "being looked at", Line::plain) };
    };
    let mut body = known(clock);
    body.push(Line::plain(""));
    body.push(Line::plain(field("", "t  set the clock by hand, where no server answers")));
    body.push(Line::plain(field("", "r  look again")));
    Sheet { head, body }
}

fn known(clock: &Clock) -> Vec<Line> {
    let mut lines = Vec::new();
    if !clock.problem.is_empty() {
        lines.extend(fields("Trouble", &clock.problem, Line::bad));
    }
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    lines.extend(fields("Time zone", &or(&clock.zone, "not known"), Line::plain));
    lines.extend(fields("Board's clock", &or(&clock.board, "not known"), Line::plain));
    lines.extend(match (clock.synchronised, clock.asks) {
        (false, false) if !clock.problem.is_empty() => fields("Synchronised", "not known", Line::warn),
        (true, _) => fields("Synchronised", "yes", Line::plain),
        (false, true) => fields("Synchronised", "NO: no server has answered", Line::warn),
        (false, false) => fields("Synchronised", "NO: no server is asked", Line::warn),
    });
    let asked = if clock.answers > 0 {
        format!("{}, stratum {}, {} answers", clock.server, or(&clock.stratum, "?"), clock.answers)
    } else {
        or(&clock.server, "none")
    };
    lines.extend(fields("Server", &asked, Line::plain));
    lines.extend(fields("Offset", &or(&clock.offset, "not known"), Line::plain));
    let servers = match (clock.servers.as_str(), clock.fallback.as_str()) {
        ("", "") => "not known".to_owned(),
        ("", fallback) => format!("{fallback} (none is named in the node file)"),
        (named, _) => named.to_owned(),
    };
    lines.extend(fields("Servers", &servers, Line::plain));
    lines
}

/// Where a bundle can go, and how the last one went.
pub(super) fn support(model: &Model) -> Sheet {
    let mut head = fields(
        "Support bundle",
        "Journal, node, drives, record, network and versions in one file, for whoever helps. Passwords, keys and \
         tokens are taken out; names, addresses and serial numbers are in it.",
        Line::plain,
    );
    head.push(Line::plain(""));
    head.extend(match &model.bundle {
        Bundle::Idle => vec![],
        Bundle::Running(step) => fields("Being made", step, Line::warn),
        Bundle::Done(text) => fields("Written", text, Line::bold),
        Bundle::Failed(reason) => fields("FAILED", reason, Line::bad),
    });
    head.push(Line::plain(field("", "w  write one onto a stick    r  look for sticks again")));
    head.push(Line::plain(""));
    head.push(rule("Sticks"));
    let mut body = Vec::new();
    match &model.sticks {
        None => body.push(Line::plain(" being looked for")),
        Some(found) => {
            if !found.problem.is_empty() {
                body.extend(fields("Trouble", &found.problem, Line::bad));
            }
            let titles = found.sticks.iter().enumerate();
            body.extend(
                titles.map(|(n, stick)| Line::plain(cut(&format!(" {}  {}", n + 1, stick.title()), 79))),
            );
            if found.sticks.is_empty() {
                body.push(Line::warn(" none: put in one with a FAT file system, and press r"));
            }
            for refused in &found.refused {
                let device = refused.device.display().to_string();
                body.extend(fields(&cut(&device, 14), &format!("not used: {}", refused.reason), Line::plain));
            }
        }
    }
    Sheet { head, body }
}

/// What it is, what it risks, what to do.
pub(super) fn password(model: &Model) -> Sheet {
    let mut body = Vec::new();
    for text in PASSWORD {
        if text.is_empty() {
            body.push(Line::plain(""));
        }
        let risk = text.starts_with("THE RISK");
        let style = if risk { Line::warn } else { Line::plain };
        body.extend(super::pages::wrap(text, 78).into_iter().map(|part| style(format!(" {part}"))));
    }
    let local: Vec<&str> = model.consoles.iter().filter(|c| c.local).map(|c| c.path.as_str()).collect();
    body.push(Line::plain(""));
    body.extend(if local.is_empty() {
        fields("Possible at", "none of the consoles that show this: none is the machine's own", Line::warn)
    } else {
        fields("Possible at", &local.join(", "), Line::plain)
    });
    Sheet { head: vec![rule("A new admin password, for whoever stands in front of the machine")], body }
}

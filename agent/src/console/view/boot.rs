//! Alarms and boot drives on the status page.

use maekin_api::alarm::{Alarm, Severity};
use maekin_api::boot_drives::{BootDrives, Comparison, Drive, Esp, HalfState, Heal, State};

use super::pages::{INDENT, field, fields, wrap};
use super::{Line, cut};

/// Lines that alarms may take.
const ALARM_LINES: usize = 7;

/// What is wrong and what to do about it, the worst first.
pub(super) fn alarms(alarms: &[Alarm]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut shown = 0;
    for alarm in alarms {
        let text = format!("since {}: {} {}", time(alarm.since), alarm.what, alarm.remedy);
        let wrapped = wrap(&text, 78 - INDENT);
        if lines.len() + wrapped.len() > ALARM_LINES && shown > 0 {
            break;
        }
        shown += 1;
        let critical = alarm.severity == Severity::Critical;
        let name = if critical { "ALARM" } else { "Warning" };
        for (i, part) in wrapped.iter().enumerate() {
            let text = field(if i == 0 { name } else { "" }, part);
            lines.push(if critical { Line::bad(text) } else { Line::warn(text) });
        }
    }
    if shown < alarms.len() {
        lines.push(Line::warn(field(
            "",
            &format!("and {} more: `maekin-agent status`", alarms.len() - shown),
        )));
    }
    lines
}

/// Whether either drive alone would start this node, and how that is known.
pub(super) fn drives(boot: &BootDrives) -> Vec<Line> {
    let mut lines = state(boot);
    lines.extend(boot.drives.iter().map(drive));
    let both = matches!(boot.state, State::Whole | State::AtRisk) && boot.drives.len() > 1;
    if both || !boot.comparison.differ.is_empty() {
        lines.push(halves(boot));
    }
    lines
}

/// When the halves were last compared, byte by byte.
fn halves(boot: &BootDrives) -> Line {
    let named = |text: &str| field("  halves", text);
    let Comparison { last, next, running, differ } = &boot.comparison;
    let next = next.map_or_else(String::new, |at| format!("; next on {}", date(at)));
    if let Some((array, sectors)) = differ.first() {
        let more = if differ.len() > 1 { ", and others" } else { "" };
        return Line::bad(named(&format!("DIFFER: {array} in {sectors} sectors{more}")));
    }
    match last {
        _ if *running => Line::plain(named("being compared now")),
        Some(at) => Line::plain(named(&format!("compared on {}, the same{next}", date(*at)))),
        None => Line::plain(named(&format!("not compared yet{next}"))),
    }
}

fn state(boot: &BootDrives) -> Vec<Line> {
    let named = |style: fn(String) -> Line, text: &str| fields("Boot mirror", text, style);
    match (boot.state, &boot.heal) {
        (_, Heal::Running { step, percent, .. }) => {
            named(Line::warn, &format!("HEALING: {percent} %, {step}"))
        }
        (State::Unknown, _) => named(Line::plain, "not looked at yet"),
        (State::Whole, _) if proved(boot) => {
            named(Line::plain, &format!("whole, PROVED: each drive has started this node{}", busy(boot)))
        }
        (State::Whole, _) => {
            named(Line::plain, &format!("whole: either drive starts this node{}", busy(boot)))
        }
        (State::Single, _) => named(Line::warn, "none: this node is on one drive; put in a second one"),
        (State::Healing, _) => named(Line::warn, &format!("being brought up to date{}", busy(boot))),
        (State::Degraded, _) => named(Line::bad, "DEGRADED: one more fault, and this node is lost"),
        (State::AtRisk, _) => named(Line::bad, "AT RISK: see above"),
    }
}

/// Whether each drive has started this node since it is in.
fn proved(boot: &BootDrives) -> bool {
    boot.drives.len() > 1 && boot.drives.iter().all(|drive| drive.proved.is_some())
}

fn busy(boot: &BootDrives) -> String {
    let busy = boot.arrays.iter().find(|a| !matches!(a.action.as_str(), "idle" | ""));
    busy.map_or_else(String::new, |a| format!(" ({} of {})", a.action, a.name))
}

fn drive(drive: &Drive) -> Line {
    let name = field(&format!("  drive {}", drive.number), "");
    let serial = if drive.serial.is_empty() { "no serial number" } else { &cut(&drive.serial, 28) };
    let bad = |word: &str| Line::bad(format!("{name}{serial}: {word}"));
    if drive.device.is_none() {
        return bad("GONE");
    }
    if !drive.answers {
        return bad("DOES NOT ANSWER");
    }
    if drive.halves.iter().any(|half| half.state != HalfState::InSync) {
        return Line::warn(format!("{name}{serial}: not up to date"));
    }
    if let Esp::Damaged { .. } = drive.esp {
        return bad("its boot files are DAMAGED");
    }
    Line::plain(match &drive.proved {
        Some(proof) => format!("{name}{serial}: proved on {}", date(proof.at)),
        None => format!("{name}{serial}: not proved yet, never started from"),
    })
}

/// `2026-11-20`, in UTC.
fn date(at: u64) -> String {
    format_time(at, "%Y-%m-%d")
}

/// `2026-11-20 10:41 UTC`.
fn time(at: u64) -> String {
    format_time(at, "%Y-%m-%d %H:%M UTC")
}

fn format_time(at: u64, format: &str) -> String {
    let time = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    time.map_or_else(|| "an unknown time".to_owned(), |t| t.strftime(format).to_string())
}

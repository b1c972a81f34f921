//! Which drives become the boot mirror: the named ones, or the ones that leave no doubt. Every reason against a drive
//! is found at once, with what a person can do about it.

use std::collections::BTreeMap;

use maekin_image::layout::plan_layout;
use maekin_rootfs::glob::name_matches;

use super::{Refusal, consent};
use crate::answers::{Answers, Mirror, Rules, Selector};
use crate::facts::{Disk, Facts, Firmware, size_text};

/// Most drives of a boot mirror.
const MOST: usize = 2;

/// The drives to install on, in order.
pub(super) fn choose<'a>(facts: &'a Facts, answers: &Answers) -> Result<Vec<&'a Disk>, Vec<Refusal>> {
    match &answers.mirror {
        Mirror::Auto => choose_auto(facts, answers),
        Mirror::Named(selectors) => choose_named(facts, answers, selectors),
    }
}

/// Why this is never a drive to install on, and what a person can do.
#[must_use]
pub fn never_offered(disk: &Disk) -> Option<(String, &'static str)> {
    if disk.holds_medium {
        return Some(("the installer was started from it".to_owned(), "choose another drive"));
    }
    let shown_by = disk.virtual_media.as_ref()?;
    Some((
        format!("it is no drive, but a medium that {shown_by} shows to the machine"),
        "choose another drive",
    ))
}

/// What stands against installing on `disk`; whether its content may be destroyed is the last question.
#[must_use]
pub fn objections(facts: &Facts, disk: &Disk) -> Vec<Refusal> {
    let mut found = Vec::new();
    let mut add = |reason: &str, remedy: &str| {
        found.push(Refusal {
            disk: Some(disk.title()),
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        });
    };
    if let Some((reason, remedy)) = never_offered(disk) {
        add(&reason, remedy);
    }
    if disk.read_only {
        add("it cannot be written", "remove its write protection, or choose another drive");
    }
    if disk.contents.unreadable.is_some() {
        add(&disk.contents.brief(), "replace it, or choose another drive");
    }
    if !disk.mounted.is_empty() {
        add(
            &format!("it is in use (mounted on {})", disk.mounted.join(", ")),
            "unmount it, or choose another drive",
        );
    }
    if ![512, 4096].contains(&disk.sector) {
        add(
            &format!("it has sectors of {} bytes", disk.sector),
            "format it with sectors of 512 or 4096 bytes, or choose another drive",
        );
    }
    if disk.sector == 4096 && facts.firmware == Firmware::Bios {
        add(
            "it has sectors of 4096 bytes, and a BIOS can boot only from sectors of 512",
            "switch the firmware to UEFI, or choose another drive",
        );
    }
    if let Err(small) = plan_layout(disk.size) {
        add(&small.to_string(), "choose a larger drive");
    }
    found
}

/// The refusal of a drive that holds something nobody consented to lose.
#[must_use]
pub fn unconsented(disk: &Disk, answers: &Answers) -> Option<Refusal> {
    let token = consent::token(disk);
    // What cannot be read, and the medium that the installer needs, are objected to already; no token would help.
    let known = disk.contents.unreadable.is_none() && !disk.holds_medium;
    // The medium may have been forgotten in a machine that is installed already.
    let start = match &disk.contents.previous {
        Some(previous) => format!(
            "to start it, restart: the medium's menu starts installation {} unless told otherwise; ",
            previous.install_id
        ),
        None if disk.contents.is_ours() => "to start it, boot from this drive; ".to_owned(),
        None => String::new(),
    };
    (known && !disk.contents.is_free() && !answers.consent.contains(&token)).then(|| Refusal {
        disk: Some(disk.title()),
        reason: format!("it is not blank: {}", disk.contents.brief()),
        remedy: format!("{start}to destroy exactly this, add \"{token}\" to disks.consent"),
    })
}

/// The refusal of a drive that says that it is failing: it is taken only when it is named.
fn failing(disk: &Disk) -> Option<Refusal> {
    let health = disk.health.as_ref().filter(|health| !health.passed)?;
    Some(Refusal {
        disk: Some(disk.title()),
        reason: format!("it is failing ({})", health.words()),
        remedy: "replace it, or name it in disks.mirror to use it all the same".to_owned(),
    })
}

fn choose_named<'a>(
    facts: &'a Facts,
    answers: &Answers,
    selectors: &[Selector],
) -> Result<Vec<&'a Disk>, Vec<Refusal>> {
    let mut chosen: Vec<&Disk> = Vec::new();
    let mut refusals = Vec::new();
    for selector in selectors {
        match fitting(facts, selector) {
            Ok(disks) => {
                for disk in disks {
                    if chosen.iter().any(|c| c.is_same_drive(disk)) {
                        refusals.push(Refusal {
                            disk: Some(selector.to_string()),
                            reason: format!("it is {} again", disk.name),
                            remedy: "a mirror needs two different drives: name another one".to_owned(),
                        });
                    } else {
                        refusals.extend(objections(facts, disk));
                        refusals.extend(unconsented(disk, answers));
                        chosen.push(disk);
                    }
                }
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    if chosen.len() > MOST {
        let names = chosen.iter().map(|disk| disk.name.as_str()).collect::<Vec<_>>().join(", ");
        refusals.push(Refusal {
            disk: None,
            reason: format!(
                "{} drives are chosen ({names}), and a boot mirror has 1 or {MOST}",
                chosen.len()
            ),
            remedy: format!("name at most {MOST} in disks.mirror, each entry one drive"),
        });
    }
    refusals.extend(dependent(&chosen));
    if refusals.is_empty() { Ok(chosen) } else { Err(refusals) }
}

/// Why two drives are no two drives: what takes one takes the other.
fn dependent(chosen: &[&Disk]) -> Option<Refusal> {
    let [a, b] = chosen else { return None };
    let one = !a.serial.is_empty() && a.serial == b.serial && a.model == b.model;
    let both = format!("{} and {}", a.name, b.name);
    let refuse =
        |reason: String, remedy: &str| Some(Refusal { disk: None, reason, remedy: remedy.to_owned() });
    if one && a.namespace.is_some() && a.namespace != b.namespace {
        return refuse(
            format!("{both} are namespaces of one drive (serial {}), which fails as one", a.serial),
            "name another drive for the other half, or one of them alone",
        );
    }
    // Only these reach one drive by two paths without the kernel joining them.
    let shared = ["sas", "fc", "iscsi", ""].contains(&a.transport.as_str());
    if shared && one && a.size == b.size && a.wwn.is_empty() && b.wwn.is_empty() && a.contents == b.contents {
        return refuse(
            format!(
                "{both} report the same serial number and no world-wide name: they may be one drive seen by two paths"
            ),
            "name one of them alone",
        );
    }
    None
}

/// The drives that `selector` means: one, or as many as its rules say.
fn fitting<'a>(facts: &'a Facts, selector: &Selector) -> Result<Vec<&'a Disk>, Refusal> {
    let (rules, want) = match selector {
        Selector::Rules(rules) => (true, rules.count),
        _ => (false, 1),
    };
    let mut found: Vec<&Disk> = Vec::new();
    for disk in facts.disks.iter().filter(|disk| matches(disk, selector)) {
        // A drive seen by two paths is one drive, by its first path. Rules never mean what is no drive to install on.
        let offered = !rules || never_offered(disk).is_none();
        if offered && !found.iter().any(|other| other.is_same_drive(disk)) {
            found.push(disk);
        }
    }
    let refuse =
        |reason: String, remedy: String| Err(Refusal { disk: Some(selector.to_string()), reason, remedy });
    match found.len() {
        n if n == want => Ok(found),
        0 => {
            let all = candidates(&facts.disks.iter().collect::<Vec<_>>());
            refuse("there is no such drive".to_owned(), format!("the drives are: {all}"))
        }
        n if n < want => refuse(
            format!("only {n} of {want} drives fits: {}", candidates(&found)),
            "put in another one, ask for fewer by count, or widen the rules".to_owned(),
        ),
        _ if rules => refuse(
            format!("{} drives fit where {want} should: {}", found.len(), candidates(&found)),
            "narrow the rules, or name the drives".to_owned(),
        ),
        _ => refuse(
            format!("it fits several drives: {}", candidates(&found)),
            "name it by something that only one drive has, like its path under /dev/disk/by-path".to_owned(),
        ),
    }
}

fn choose_auto<'a>(facts: &'a Facts, answers: &Answers) -> Result<Vec<&'a Disk>, Vec<Refusal>> {
    let mut suitable: Vec<&Disk> = Vec::new();
    let mut refusals = Vec::new();
    // Fixed drives that would do but for what is on them: one of them may be meant as the other half.
    let mut used = 0;
    for disk in &facts.disks {
        let mut against = objections(facts, disk);
        let fixed = !(disk.removable || disk.transport == "usb");
        let unconsented = unconsented(disk, answers);
        let failing = failing(disk);
        // Nobody means an OSD for the other half.
        let half = fixed && against.is_empty() && disk.contents.osds().is_empty();
        used += usize::from(half && (unconsented.is_some() || failing.is_some()));
        against.extend(failing);
        against.extend(unconsented);
        if !fixed {
            against.push(Refusal {
                disk: Some(disk.title()),
                reason: "it is a removable or USB drive".to_owned(),
                remedy: "name it in disks.mirror to use it all the same".to_owned(),
            });
        }
        if against.is_empty() && !suitable.iter().any(|other| other.is_same_drive(disk)) {
            suitable.push(disk);
        }
        refusals.extend(against);
    }
    let mut by_size: BTreeMap<u64, Vec<&Disk>> = BTreeMap::new();
    for disk in &suitable {
        by_size.entry(disk.size).or_default().push(disk);
    }
    match (suitable.len(), by_size.into_values().next()) {
        (0, _) => {
            refusals.push(Refusal {
                disk: None,
                reason: "no drive is suitable".to_owned(),
                remedy: "see above for each of them, or put in a blank drive".to_owned(),
            });
            Err(refusals)
        }
        (1, Some(one)) if used == 0 => Ok(one),
        (1, Some(one)) => {
            refusals.push(Refusal {
                disk: None,
                reason: format!("only {} is free, and whether it shall be alone is not clear", one[0].name),
                remedy: "name it alone in disks.mirror for a node without a mirror, or see above for the other half"
                    .to_owned(),
            });
            Err(refusals)
        }
        (_, Some(pair)) if pair.len() == 2 => match dependent(&pair) {
            None => Ok(pair),
            Some(refusal) => Err(vec![refusal]),
        },
        _ => Err(vec![Refusal {
            disk: None,
            reason: format!("which drives become the mirror is not clear: {}", candidates(&suitable)),
            remedy: "name two of them in disks.mirror, like [\"serial:...\", \"serial:...\"]".to_owned(),
        }]),
    }
}

fn matches(disk: &Disk, selector: &Selector) -> bool {
    match selector {
        Selector::Serial(serial) => disk.serial == *serial,
        Selector::Wwn(wwn) => is_wwn(disk, wwn),
        Selector::Path(path) => is_at(disk, path),
        Selector::Rules(rules) => fits(disk, rules),
    }
}

fn fits(disk: &Disk, rules: &Rules) -> bool {
    let model = |pattern: &String| name_matches(&pattern.to_lowercase(), &disk.model.to_lowercase());
    rules.model.as_ref().is_none_or(model)
        && rules.serial.as_ref().is_none_or(|serial| disk.serial == *serial)
        && rules.wwn.as_ref().is_none_or(|wwn| is_wwn(disk, wwn))
        && rules.path.as_ref().is_none_or(|path| is_at(disk, path))
        && rules.transport.is_none_or(|transport| disk.transport == transport.to_string())
        && rules.min.is_none_or(|min| disk.size >= min)
        && rules.max.is_none_or(|max| disk.size <= max)
}

fn is_wwn(disk: &Disk, wwn: &str) -> bool {
    !disk.wwn.is_empty() && disk.wwn.eq_ignore_ascii_case(wwn)
}

fn is_at(disk: &Disk, path: &str) -> bool {
    disk.path.as_os_str() == path || disk.links.iter().any(|link| link.as_os_str() == path)
}

fn candidates(disks: &[&Disk]) -> String {
    if disks.is_empty() {
        return "none".to_owned();
    }
    let title = |d: &&Disk| {
        let serial = if d.serial.is_empty() { String::new() } else { format!(" serial:{}", d.serial) };
        format!("{}{serial} {}", d.name, size_text(d.size))
    };
    disks.iter().map(title).collect::<Vec<_>>().join(", ")
}

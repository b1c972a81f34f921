//! `disks.mirror`: which drives, by name or by rules.

use toml::{Table, Value};

use super::check::Found;
use super::size::parse_size;
use super::wire::DriveRules;
use super::{Mirror, Rules, Selector};

const KEY: &str = "disks.mirror";
const FORMS: &str = "allowed are \"auto\", a list of one or two drives like [\"serial:XYZ\", \"wwn:0x5000\", \
    \"path:/dev/disk/by-path/...\"], or rules like { model = \"INTEL*\", max = \"1TB\", count = 2 }";
/// Longest pattern of a model; drives report at most 40 characters.
const PATTERN: usize = 80;
/// Most `*` in one: each makes matching slower.
const STARS: usize = 4;

/// The drives that `value` names.
pub(super) fn check_mirror(value: &Value, found: &mut Found) -> Mirror {
    match value {
        Value::String(text) if text == "auto" => Mirror::Auto,
        Value::Array(list) => check_list(list, found),
        Value::Table(table) => {
            let rules = check_rules(KEY, table, found);
            Mirror::Named(rules.map(|rules| Selector::Rules(Box::new(rules))).into_iter().collect())
        }
        other => {
            found.add(KEY, format!("cannot be {other}; {FORMS}"));
            Mirror::Auto
        }
    }
}

fn check_list(list: &[Value], found: &mut Found) -> Mirror {
    if !(1..=2).contains(&list.len()) {
        found.add(KEY, format!("names {} drives; {FORMS}", list.len()));
    }
    let mut selectors = Vec::new();
    for (i, item) in list.iter().enumerate() {
        let key = format!("{KEY}[{i}]");
        let selector = match item {
            Value::Table(table) => {
                let rules = check_rules(&key, table, found);
                if rules.as_ref().is_some_and(|rules| rules.count > 1) {
                    found.add(format!("{key}.count"), "must be 1 in a list, where each entry is one drive");
                }
                rules.map(|rules| Selector::Rules(Box::new(rules)))
            }
            Value::String(text) => {
                let selector = parse_selector(text);
                if selector.is_none() {
                    found.add(key.clone(), format!("cannot be {item}; {FORMS}"));
                }
                selector
            }
            _ => {
                found.add(key.clone(), format!("cannot be {item}; {FORMS}"));
                None
            }
        };
        match selector {
            Some(selector) if selectors.contains(&selector) => {
                found.add(key, format!("{selector} is named twice"));
            }
            Some(selector) => selectors.push(selector),
            None => {}
        }
    }
    Mirror::Named(selectors)
}

/// Parses `serial:...`, `wwn:...` or `path:/dev/...`.
#[must_use]
pub fn parse_selector(text: &str) -> Option<Selector> {
    let (kind, name) = text.split_once(':')?;
    let name = name.trim().to_owned();
    match kind {
        _ if name.is_empty() => None,
        "serial" => Some(Selector::Serial(name)),
        "wwn" => Some(Selector::Wwn(name)),
        "path" if name.starts_with("/dev/") => Some(Selector::Path(name)),
        _ => None,
    }
}

/// The rules of a table; `None` where they say too little to go on.
fn check_rules(key: &str, table: &Table, found: &mut Found) -> Option<Rules> {
    let mut good = Table::new();
    for (name, value) in table {
        // Key by key, so that what is wrong is known to belong to this one.
        match Table::from_iter([(name.clone(), value.clone())]).try_into::<DriveRules>() {
            Ok(_) => drop(good.insert(name.clone(), value.clone())),
            Err(e) => found.add(format!("{key}.{name}"), e.message().trim().replace('\n', ", ")),
        }
    }
    let whole = good.len() == table.len();
    let rules: DriveRules = good.try_into().ok()?; // each key alone was taken, and they do not depend on each other
    let mut size = |name: &str, text: &Option<String>| {
        let text = text.as_ref()?;
        let size = parse_size(text);
        if size.is_none() {
            let text = text.escape_debug();
            found.add(
                format!("{key}.{name}"),
                format!("`{text}` is no size: write it like 200GB, 1TB or 186GiB"),
            );
        }
        size
    };
    let (min, max) = (size("min", &rules.min), size("max", &rules.max));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        found.add(format!("{key}.max"), "is less than min: no drive could fit");
    }
    for (name, text) in [("model", &rules.model), ("serial", &rules.serial), ("wwn", &rules.wwn)] {
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            found.add(format!("{key}.{name}"), "is empty: leave it out, or write what the drive reports");
        }
    }
    if rules.model.as_ref().is_some_and(|m| m.len() > PATTERN || m.matches('*').count() > STARS) {
        let reason = format!("is no pattern: at most {PATTERN} characters, {STARS} of them *");
        found.add(format!("{key}.model"), reason);
    }
    if rules.path.as_ref().is_some_and(|path| !path.starts_with("/dev/")) {
        found.add(format!("{key}.path"), "must begin with /dev/");
    }
    let count = rules.count.unwrap_or(1);
    if !(1..=2).contains(&count) {
        found.add(format!("{key}.count"), format!("cannot be {count}: a boot mirror has 1 or 2 drives"));
    }
    if whole && (DriveRules { count: None, ..rules.clone() }) == DriveRules::default() {
        found.add(
            key,
            "has no rule: say what the drives are like, by model, serial, wwn, path, transport, min or max",
        );
        return None;
    }
    let DriveRules { model, serial, wwn, path, transport, .. } = rules;
    Some(Rules { model, serial, wwn, path, transport, min, max, count: usize::from(count) })
}

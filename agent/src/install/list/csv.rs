//! The list as CSV (RFC 4180), as spreadsheets write and read it. Pure.

use maekin_api::install::{Disks, Rule};

use super::check_all;
use crate::install::InstallError;
use crate::install::terms::shown;

/// The columns; several things in one field are separated by blanks.
const COLUMNS: [&str; 7] = ["mac", "uuid", "serial", "hostname", "roles", "mirror", "consent"];
/// Longest field, bytes.
const FIELD: usize = 2000;

/// Reads a list. The head line says which columns there are, in any order.
///
/// # Errors
/// [`InstallError::Invalid`] with a line for each thing that is wrong, by line of the file.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, InstallError> {
    let mut rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
    let wrong = |line: usize, text: String| InstallError::Invalid(format!("line {line}: {text}"));
    let Some((line, head)) = rows.next() else {
        return Err(wrong(1, format!("the head line is missing: {}", COLUMNS.join(","))));
    };
    let mut columns = Vec::new();
    for name in &head {
        let name = name.trim().to_lowercase();
        let Some(at) = COLUMNS.iter().position(|column| *column == name) else {
            let known = COLUMNS.join(", ");
            return Err(wrong(line, format!("there is no column `{}`; there are {known}", shown(&name))));
        };
        if columns.contains(&at) {
            return Err(wrong(line, format!("the column {name} is there twice")));
        }
        columns.push(at);
    }
    let (mut lines, mut rules, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (line, fields) in rows {
        if fields.len() != columns.len() {
            let (got, want) = (fields.len(), columns.len());
            bad.push(format!("line {line}: {got} fields instead of {want}"));
            continue;
        }
        let mut by_name: [&str; COLUMNS.len()] = Default::default();
        for (at, field) in columns.iter().zip(&fields) {
            by_name[*at] = field.trim();
        }
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let [mac, uuid, serial, hostname, roles, mirror, consent] = by_name;
        let mirror = if mirror == "auto" { Vec::new() } else { list(mirror) };
        lines.push(line);
        rules.push(Rule {
            mac: mac.to_owned(),
            uuid: uuid.to_owned(),
            serial: serial.to_owned(),
            hostname: hostname.to_owned(),
            roles: list(roles),
            disks: Disks { mirror, consent: list(consent) },
        });
    }
    let place = |i: usize| format!("line {}", lines.get(i - 1).copied().unwrap_or(i));
    match check_all(&rules, place) {
        Ok(rules) if bad.is_empty() => Ok(rules),
        Ok(_) => Err(InstallError::Invalid(bad.join("\n"))),
        Err(e) => {
            bad.push(e.to_string());
            Err(InstallError::Invalid(bad.join("\n")))
        }
    }
}

/// Fields by row, with the line that each begins on; empty lines are skipped.
fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, InstallError> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun, mut quoted, mut was_quoted) = (1, 1, false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if field.len() > FIELD {
            return Err(InstallError::Invalid(format!("line {begun}: a field is longer than {FIELD} bytes")));
        }
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() && !was_quoted => {
                field.clear();
                (quoted, was_quoted) = (true, true);
            }
            ',' if !quoted => {
                row.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                was_quoted = false;
                end(&mut rows, &mut row, begun);
                line += 1;
                begun = line;
            }
            '\r' if !quoted => {}
            c => {
                line += usize::from(c == '\n');
                field.push(c);
            }
        }
    }
    if quoted {
        return Err(InstallError::Invalid(format!("line {begun}: a \" is not closed")));
    }
    row.push(field);
    end(&mut rows, &mut row, begun);
    Ok(rows)
}

fn end(rows: &mut Vec<(usize, Vec<String>)>, row: &mut Vec<String>, begun: usize) {
    let row = std::mem::take(row);
    if row.iter().any(|field| !field.trim().is_empty()) {
        rows.push((begun, row));
    }
}

/// Writes a list.
pub(crate) fn render(rules: &[Rule]) -> String {
    let mut text = COLUMNS.join(",") + "\r\n";
    for rule in rules {
        let mirror =
            if rule.disks.mirror.is_empty() { "auto".to_owned() } else { rule.disks.mirror.join(" ") };
        let (roles, consent) = (rule.roles.join(" "), rule.disks.consent.join(" "));
        let fields = [&rule.mac, &rule.uuid, &rule.serial, &rule.hostname, &roles, &mirror, &consent];
        text += &fields.map(|field| quote(field)).join(",");
        text += "\r\n";
    }
    text
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

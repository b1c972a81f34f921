//! The list of machines: CSV (RFC 4180), the first line naming the columns. Pure.

use anyhow::{Context, anyhow, bail, ensure};
use maekin_api::power::{Method, PowerSettings, SetPower};

use super::parse_firmware;

/// Most machines of one list.
const MOST: usize = 10_000;

/// The machines of a list.
///
/// # Errors
/// The first line that is wrong, by its number, and why. No error shows a password.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<(String, SetPower)>> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let (_, head) = lines.next().context("the list is empty")?;
    let columns = fields(head).context("line 1")?;
    let columns: Vec<String> = columns.iter().map(|c| c.trim().to_ascii_lowercase()).collect();
    ensure!(
        columns.iter().any(|c| c == "mac"),
        "line 1: must name the columns, `mac` and `method` among them"
    );
    let mut rows = Vec::new();
    for (n, line) in lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let row = fields(line).and_then(|values| machine(&columns, &values));
        rows.push(row.with_context(|| format!("line {}", n + 1))?);
        ensure!(rows.len() <= MOST, "more than {MOST} machines");
    }
    let mut macs: Vec<&str> = rows.iter().map(|(mac, _)| mac.as_str()).collect();
    macs.sort_unstable();
    match macs.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => bail!("{} stands in it twice", pair[0]),
        None => Ok(rows),
    }
}

fn machine(columns: &[String], values: &[String]) -> anyhow::Result<(String, SetPower)> {
    ensure!(columns.len() == values.len(), "has {} fields and not {}", values.len(), columns.len());
    let mut mac = String::new();
    let mut set = SetPower { settings: PowerSettings::new(Method::Redfish), password: String::new().into() };
    let mut method = None;
    let s = &mut set.settings;
    for (column, value) in columns.iter().zip(values) {
        if column == "password" {
            set.password = value.clone().into(); // spaces at its ends may belong to it
            continue;
        }
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let wrong = |what: &str| anyhow!("{column}: `{}` is no {what}", value.escape_debug());
        match column.as_str() {
            "mac" => mac = value.to_ascii_lowercase().replace('-', ":"),
            "method" => {
                method = Some(match value.to_ascii_lowercase().as_str() {
                    "redfish" => Method::Redfish,
                    "ipmi" => Method::Ipmi,
                    "wake-on-lan" | "wol" => Method::WakeOnLan,
                    _ => return Err(wrong("method (redfish, ipmi, wake-on-lan)")),
                });
            }
            "address" => value.clone_into(&mut s.address),
            "user" => value.clone_into(&mut s.user),
            "firmware" => s.firmware = Some(parse_firmware(value)?),
            "system" => value.clone_into(&mut s.system),
            "cipher_suite" => s.cipher_suite = Some(value.parse().map_err(|_| wrong("number"))?),
            "certificate_sha256" => s.certificate_sha256 = value.to_ascii_lowercase().replace(':', ""),
            "plain_http" => s.plain_http = value.parse().map_err(|_| wrong("true or false"))?,
            "interface" => value.clone_into(&mut s.interface),
            "broadcast" => s.broadcast = Some(value.parse().map_err(|_| wrong("IPv4 address"))?),
            other => bail!("there is no column `{}`", other.escape_debug()),
        }
    }
    ensure!(maekin_rootfs::validate::is_mac(&mac), "mac: `{}` is none", mac.escape_debug());
    set.settings.method = method.context("method: must be given")?;
    Ok((mac, set))
}

/// The fields of a line; one in quotes may hold commas, and quotes twice.
fn fields(line: &str) -> anyhow::Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
            Some(quoted) => quoted_field(quoted)?,
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => bail!("something stands between a closing quote and the next comma"),
        }
    }
}

fn quoted_field(text: &str) -> anyhow::Result<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"').context("a quote is not closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "mac,method,address,user,password";

    #[test]
    fn power_lists_become_settings() {
        let text = format!(
            "\u{feff}{HEAD},firmware,cipher_suite\r\n# rack 7\r\n\r\n\
             52-54-00-AA-00-01,ipmi,10.0.0.1,ADMIN,\"a,\"\"b\"\"\",uefi,3\r\n\
             52:54:00:aa:00:02,redfish,bmc2:8443,root, spaced ,,\r\n\
             52:54:00:aa:00:03,wol,,,,,\r\n"
        );
        let rows = parse(&text).unwrap();
        let got: Vec<_> = rows
            .iter()
            .map(|(mac, set)| {
                let s = &set.settings;
                (
                    mac.as_str(),
                    s.method,
                    s.address.as_str(),
                    set.password.expose(),
                    s.firmware,
                    s.cipher_suite,
                )
            })
            .collect();
        use maekin_api::power::Firmware::Uefi;
        assert_eq!(
            got,
            [
                ("52:54:00:aa:00:01", Method::Ipmi, "10.0.0.1", "a,\"b\"", Some(Uefi), Some(3)),
                ("52:54:00:aa:00:02", Method::Redfish, "bmc2:8443", " spaced ", None, None),
                ("52:54:00:aa:00:03", Method::WakeOnLan, "", "", None, None),
            ]
        );
    }

    #[test]
    fn power_lists_that_are_wrong_say_where_and_show_no_password() {
        let good = "52:54:00:aa:00:01,ipmi,10.0.0.1,ADMIN,hunter2";
        let rows = [
            ("nothing", String::new(), "empty"),
            ("no columns", good.to_owned(), "line 1"),
            ("another column", format!("{HEAD},colour\n{good},red"), "line 2"),
            ("too few fields", format!("{HEAD}\n52:54:00:aa:00:01,ipmi,hunter2"), "has 3 fields"),
            ("no address of hardware", format!("{HEAD}\nhost1,ipmi,10.0.0.1,ADMIN,hunter2"), "mac: `host1`"),
            ("another method", format!("{HEAD}\n{}", good.replace("ipmi", "telnet")), "method: `telnet`"),
            ("no method", format!("{HEAD}\n{}", good.replace("ipmi", "")), "method: must be given"),
            ("twice", format!("{HEAD}\n{good}\n{good}"), "twice"),
            ("open quote", format!("{HEAD}\n{good}\n\"52:54,hunter2"), "line 3"),
            ("after a quote", format!("{HEAD}\n\"a\"b,hunter2"), "closing quote"),
            ("suite", format!("{HEAD},cipher_suite\n{good},many"), "cipher_suite: `many`"),
        ];
        for (name, text, want) in rows {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(want) && !error.contains("hunter2"), "{name}: {error}");
        }
    }
}

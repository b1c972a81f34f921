//! What `ipmitool` prints, and what its complaints mean. Pure. Its words are those of version 1.8.18 and 1.8.19, seen
//! with controllers that were right, wrong, slow and absent.

use maekin_api::power::Power;

use super::super::errors::{BmcError, told};
use super::super::settings::{IpmiWay, authority};

/// Boot flags, IPMI 2.0 table 28-14, parameter 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BootFlags {
    /// Data 1, bit 7: to be obeyed.
    pub(super) valid: bool,
    /// Data 1, bit 6: not only at the next start.
    pub(super) persistent: bool,
    /// Data 1, bit 5.
    pub(super) uefi: bool,
    /// Data 2, bits 5 to 2 are 1: "force PXE".
    pub(super) pxe: bool,
}

/// The answer to `chassis power status`.
pub(super) fn parse_power(text: &str) -> Option<Power> {
    text.lines().find_map(|line| match line.trim().strip_prefix("Chassis Power is ")? {
        "on" => Some(Power::On),
        "off" => Some(Power::Off),
        _ => None,
    })
}

/// The answer to `raw 0x00 0x09 0x05 0x00 0x00`: version, parameter, five bytes of data. With `-v` other lines stand
/// around it.
pub(super) fn parse_flags(text: &str) -> Option<BootFlags> {
    let bytes_of = |line: &str| -> Option<Vec<u8>> {
        line.split_whitespace()
            .map(|word| if word.len() == 2 { u8::from_str_radix(word, 16).ok() } else { None })
            .collect()
    };
    let answer = text.lines().filter_map(bytes_of).find(|bytes| bytes.len() >= 4 && bytes[1] & 0x7f == 5)?;
    let (first, second) = (answer[2], answer[3]);
    Some(BootFlags {
        valid: first & 0x80 != 0,
        persistent: first & 0x40 != 0,
        uefi: first & 0x20 != 0,
        pxe: second & 0x3c == 0x04,
    })
}

/// What the complaints of `ipmitool` on standard error mean.
pub(super) fn diagnose(way: &IpmiWay, what: &str, stderr: &str) -> BmcError {
    let address = authority(&way.host, way.port);
    let words: Vec<&str> = stderr.lines().filter(|line| !is_noise(line)).collect();
    let text = words.join("\n").to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let credentials = |why: &str| BmcError::Credentials {
        address: address.clone(),
        user: way.user.clone(),
        why: why.to_owned(),
    };
    let refused = |why: String| BmcError::Refused { address: address.clone(), what: what.to_owned(), why };
    let unreachable = |why: &str| BmcError::Unreachable { address: address.clone(), why: why.to_owned() };
    if has(&["rakp 2 hmac is invalid"]) {
        return credentials("the password is another one");
    }
    if has(&["unauthorized name"]) {
        return credentials("it has no such user, or not for use over the network");
    }
    if has(&["unauthorized role", "insufficient privilege"]) {
        return refused(
            "the user is not allowed to; it needs the role of operator or administrator".to_owned(),
        );
    }
    if has(&["invalid authentication algorithm", "invalid integrity algorithm", "no matching cipher suite"]) {
        return refused(
            "it offers no session of this kind; set `cipher_suite` to 3 for an old controller, to 17 for a new one, and see that IPMI over LAN is on"
                .to_owned(),
        );
    }
    if has(&["does not support ipmi v2"]) {
        return refused("it does not speak IPMI 2.0, or not on this network".to_owned());
    }
    if has(&["address lookup for"]) {
        return unreachable("its name is not known to the name service");
    }
    if has(&["no free sessions", "insufficient resources"]) {
        return refused("all its sessions are taken; try again in a minute".to_owned());
    }
    if has(&["get auth capabilities error", "no response from", "timeout"]) {
        return unreachable("nothing answers IPMI there");
    }
    if has(&["not supported in present state", "node busy"]) {
        return refused("it cannot do that in its present state; is the machine just starting?".to_owned());
    }
    if has(&["invalid command", "unsupported"]) && !has(&["unable to establish"]) {
        return refused("it does not know this command".to_owned());
    }
    if has(&["unable to establish"]) && words.len() <= 1 {
        return unreachable("no session can be had; is IPMI over LAN on?");
    }
    refused(told(&words.join("; "), &[way.password.expose()]))
}

/// Lines that `-v` prints when all is well.
fn is_noise(line: &str) -> bool {
    let line = line.trim();
    let starts =
        ["Loading IANA", "IANA PEN", "Running Get", "Invalid completion code received", "Discovered IPMB"];
    line.is_empty() || starts.iter().any(|start| line.starts_with(start)) || line.contains("Cipher Suites")
}

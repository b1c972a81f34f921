//! A DHCP message as a person reads it.

use std::fmt::Write as _;

use crate::boot;
use crate::dhcp::options;
use crate::dhcp::packet::Packet;

/// The fields and options of a message, one a line, indented; what is no DHCP message is said to be none.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(why) => return format!("     not a DHCP message: {why}\n"),
    };
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "     {name:<7} {value}"); // writing to a String cannot fail
    };
    let flags = if packet.broadcast { ", answer by broadcast" } else { "" };
    let (kind, len) = (packet.kind, bytes.len());
    line("type", &format!("{kind:?}, xid {:08x}, {len} bytes{flags}", packet.xid));
    line("chaddr", &format!("{} ({} bytes)", packet.hw, packet.hw.as_bytes().len()));
    let addresses = [packet.ciaddr, packet.yiaddr, packet.siaddr, packet.giaddr];
    for (name, ip) in ["ciaddr", "yiaddr", "siaddr", "giaddr"].into_iter().zip(addresses) {
        if !ip.is_unspecified() {
            line(name, &ip.to_string());
        }
    }
    if !packet.file().is_empty() {
        line("file", &packet.file().escape_ascii().to_string());
    }
    for (code, value) in packet.options() {
        line(&code.to_string(), &option_text(code, value));
    }
    text
}

/// The bytes in rows of 32, indented; a row of zeros is left out and marked.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut left_out = false;
    for (row, part) in bytes.chunks(32).enumerate() {
        if part.iter().all(|b| *b == 0) {
            if !std::mem::replace(&mut left_out, true) {
                text.push_str("     ....  zeros\n");
            }
            continue;
        }
        left_out = false;
        let digits: String = part.iter().map(|b| format!("{b:02x}")).collect();
        let _ = writeln!(text, "     {:04x}  {digits}", row * 32);
    }
    text
}

fn option_text(code: u8, value: &[u8]) -> String {
    let number = || value.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    match code {
        options::SUBNET_MASK
        | options::ROUTER
        | options::DNS
        | options::NTP
        | options::BROADCAST
        | options::REQUESTED_IP
        | options::SERVER_ID => {
            let ips = value.chunks(4).map(|ip| ip.iter().map(u8::to_string).collect::<Vec<_>>().join("."));
            ips.collect::<Vec<_>>().join(", ")
        }
        options::LEASE_TIME | options::RENEWAL | options::REBINDING => format!("{} s", number()),
        options::MTU | options::MESSAGE_TYPE | options::MAX_SIZE => number().to_string(),
        options::ARCH => {
            let archs =
                options::architectures(value).map(|arch| format!("{arch} ({})", boot::arch_name(arch)));
            archs.collect::<Vec<_>>().join(", ")
        }
        options::MACHINE_ID => match options::machine_uuid(value) {
            Some(uuid) => format!("{uuid} ({} bytes)", value.len()),
            None => format!("{} (names nobody)", bytes_text(value)),
        },
        options::VENDOR
            if value == [options::PXE_DISCOVERY, 1, options::PXE_SKIP_DISCOVERY, options::END] =>
        {
            format!("{} (take the boot file; no menu, no discovery)", bytes_text(value))
        }
        options::IPXE if value == [options::IPXE_NO_PXEDHCP, 1, 1] => {
            format!("{} (wait for no ProxyDHCP)", bytes_text(value))
        }
        options::HOST_NAME
        | options::DOMAIN
        | options::VENDOR_CLASS
        | options::TFTP_SERVER
        | options::BOOT_FILE
        | options::USER_CLASS
        | options::MESSAGE => format!("\"{}\"", value.escape_ascii()),
        _ => bytes_text(value),
    }
}

fn bytes_text(value: &[u8]) -> String {
    value.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_told_from_a_message() {
        assert_eq!(describe(&[1; 20]), "     not a DHCP message: shorter than a DHCP header\n");
        assert_eq!(hex(&[1; 3]), "     0000  010101\n");
        let zeros = [vec![1; 32], vec![0; 96], vec![2]].concat();
        assert_eq!(hex(&zeros).lines().nth(1), Some("     ....  zeros"));
        assert_eq!(hex(&zeros).lines().count(), 3);
    }
}

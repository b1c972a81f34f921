//! The kernel command line of a machine that boots the installer: one function, whichever loader hands it over.

use crate::script::{Target, harmless};

/// What the kernel writes to: screen and first serial line, which is also SOL on most BMCs.
const CONSOLES: &str = "console=tty0 console=ttyS0,115200n8";

/// Most masters that are named: a kernel takes 2048 bytes in all (x86, `COMMAND_LINE_SIZE`).
pub(crate) const MASTERS: usize = 5;

/// What the installer shall do first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// Install by this ticket.
    Ticket(&'a str),
    /// Show this code and wait for a ticket.
    Wait(&'a str),
}

/// The words, without those that only one loader needs.
#[must_use]
pub fn words(start: Start<'_>, target: &Target<'_>) -> String {
    let start = match start {
        Start::Ticket(ticket) => format!("maekin.ticket={}", word(ticket)),
        Start::Wait(code) => format!("maekin.wait={}", word(code)),
    };
    // The installer asks for an address by DHCPv4 alone, whichever way its kernel came.
    let masters =
        target.masters().filter(|url| !url.contains('[')).take(MASTERS).collect::<Vec<_>>().join(",");
    format!("maekin.install maekin.master={masters} {start} BOOTIF={} {CONSOLES}", target.hw.bootif())
}

/// One word of it: no loader and no kernel splits it, or reads an operator in it.
fn word(text: &str) -> String {
    harmless(text).chars().filter(|c| c.is_ascii_alphanumeric() || ".:_-".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_where_the_master_is_what_to_do_and_which_interface_booted() {
        let others: Vec<_> = (2..9).map(|n| format!("http://10.77.0.{n}:8480")).collect();
        let hw = "52:54:00:12:34:56".parse().unwrap();
        let target = Target { http: "http://10.77.0.1:8480", others: &[], hw, arch: 7 };
        let many = words(Start::Ticket("a"), &Target { others: &others, ..target });
        let masters = (1..6).map(|n| format!("http://10.77.0.{n}:8480")).collect::<Vec<_>>().join(",");
        assert!(many.contains(&format!(" maekin.master={masters} ")), "ours first, not too many: {many}");
        let rows = [
            ("ticket", Start::Ticket("0123abcd"), "maekin.ticket=0123abcd"),
            ("wait", Start::Wait("K7-QM"), "maekin.wait=K7-QM"),
            ("an approver gone mad", Start::Wait("a b;c\n${d} 'e'"), "maekin.wait=abcde"),
        ];
        for (name, start, wanted) in rows {
            let line = format!(
                "maekin.install maekin.master=http://10.77.0.1:8480 {wanted} BOOTIF=01-52-54-00-12-34-56 \
                 console=tty0 console=ttyS0,115200n8"
            );
            assert_eq!(words(start, &target), line, "{name}");
        }
    }
}

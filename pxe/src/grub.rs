//! The menus of Debian's signed network GRUB. Pure text; whatever comes from elsewhere is made harmless first.
//!
//! GRUB looks for [`FIRST_MENU`] where it was loaded from, by the prefix that is built into it. That one is the same
//! for every machine: it asks our HTTP server for the machine's own, and again when that one comes to its end. So
//! a machine that cannot load what it shall boot tries again without anybody being there.

use maekin_api::boot::Decision;
use maekin_image::manifest::{INITRD, VMLINUZ};

use crate::cmdline::{self, MASTERS, Start};
use crate::script::{ASK_AGAIN, Target, harmless};

/// The name under which GRUB looks for its menu, by TFTP and by HTTP.
pub const FIRST_MENU: &str = "grub/grub.cfg";

/// The menu that sends each machine to its own. `http` is our HTTP server, `others` those of the other masters, which
/// are asked when we do not answer; `arch` is what the machine says of itself.
#[must_use]
pub fn first_menu(http: &str, others: &[String], arch: u16) -> String {
    let servers = std::iter::once(http).chain(others.iter().map(String::as_str)).take(MASTERS);
    let servers: String = servers.map(|http| format!(" \"{}\"", device(http))).collect();
    format!(
        "echo \"Maekin install master at {http}\"\n\
         smbios --type 1 --get-uuid 8 --set uuid\n\
         while [ 1 = 1 ]; do\n\
         for server in{servers}; do\n\
         source \"${{server}}/grub.cfg?mac=${{net_default_mac}}&uuid=${{uuid}}&arch={arch}\"\n\
         done\n\
         sleep {ASK_AGAIN}\n\
         done\n"
    )
}

/// The menu that carries a decision out.
#[must_use]
pub fn menu(decision: &Decision, target: &Target<'_>) -> String {
    match decision {
        Decision::Install { ticket } => {
            format!("echo \"Maekin: installing this machine\"\n{}", load(Start::Ticket(ticket), target))
        }
        Decision::Local => LOCAL.to_owned(),
        Decision::Wait { code, reason } => format!(
            "echo \"Code of this machine: {}\"\necho \"It waits: {}\"\n{}",
            harmless(code),
            harmless(reason),
            load(Start::Wait(code), target)
        ),
    }
}

/// The menu of a machine nobody can decide about just now.
#[must_use]
pub fn unavailable(reason: &str) -> String {
    format!(
        "echo \"The install master cannot decide yet what this machine shall boot.\"\necho \"{}\"\n",
        harmless(reason)
    )
}

/// Kernel and initrd by GRUB's own HTTP. What fails is said by GRUB, and the first menu asks again.
fn load(start: Start<'_>, target: &Target<'_>) -> String {
    let server = device(target.http);
    // Each word in quotes, so that GRUB reads none of them as a wildcard or an operator.
    let words: String = cmdline::words(start, target).split(' ').map(|word| format!(" \"{word}\"")).collect();
    format!(
        "if linux \"{server}/release/{VMLINUZ}\"{words}; then\n\
         if initrd \"{server}/release/{INITRD}\"; then\n\
         boot\n\
         fi\n\
         fi\n\
         echo \"Maekin: loading failed, trying again in {ASK_AGAIN} seconds\"\n"
    )
}

/// The menu of the installed system, as the menu of an install medium hands over to it: with Secure Boot on, kernel
/// and shim are checked as ever. Returning to the firmware is no way: GRUB can only return success, and EDK2 then shows
/// its own menu for ever; and the loader on the disk finds no file system where firmware has not looked at the disk.
/// Only where GRUB sees no disk at all is the firmware asked to do better. A machine whose drives are new says what to
/// do, and asks again.
const LOCAL: &str = "\
    echo \"Maekin: this machine is installed, booting from its disk\"\n\
    for file in (*,gpt2)/maekin/installed; do\n\
    if [ -f $file ]; then\n\
    regexp --set=1:esp '^\\((.*)\\)' $file\n\
    set via=network\n\
    export via\n\
    set root=$esp\n\
    set prefix=($esp)/maekin/grub\n\
    configfile ($esp)/maekin/grub/grub.cfg\n\
    fi\n\
    done\n\
    for disk in (hd*); do\n\
    if [ \"$disk\" = \"(hd*)\" ]; then exit; fi\n\
    done\n\
    echo \"Maekin: none of its drives starts it. If they are new: maekin-agent reinstall NAME on a member\"\n";

/// Our HTTP server as GRUB names it.
fn device(http: &str) -> String {
    format!("(http,{})", http.strip_prefix("http://").unwrap_or(http))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target<'static> {
        let hw = "52:54:00:12:34:56".parse().unwrap();
        Target { http: "http://10.77.0.1:8480", others: &[], hw, arch: 7 }
    }

    #[test]
    fn the_first_menu_asks_for_the_machines_own_until_it_boots() {
        let menu = first_menu("http://10.77.0.1:8480", &["http://10.77.0.2:8480".to_owned()], 16);
        let source = "while [ 1 = 1 ]; do\nfor server in \"(http,10.77.0.1:8480)\" \"(http,10.77.0.2:8480)\"; do\n\
            source \"${server}/grub.cfg?mac=${net_default_mac}&uuid=${uuid}&arch=16\"\ndone\nsleep 10\ndone\n";
        assert!(menu.ends_with(source), "{menu}");
    }

    #[test]
    fn each_decision_is_carried_out() {
        let rows = [
            (
                "install",
                Decision::Install { ticket: "0123abcd".into() },
                "if linux \"(http,10.77.0.1:8480)/release/vmlinuz\" \"maekin.install\" \
                 \"maekin.master=http://10.77.0.1:8480\" \"maekin.ticket=0123abcd\" \"BOOTIF=01-52-54-00-12-34-56\" \
                 \"console=tty0\" \"console=ttyS0,115200n8\"; then\n\
                 if initrd \"(http,10.77.0.1:8480)/release/initrd\"; then\nboot\n",
            ),
            (
                "local",
                Decision::Local,
                "\nset prefix=($esp)/maekin/grub\nconfigfile ($esp)/maekin/grub/grub.cfg\n",
            ),
            ("local, no disk", Decision::Local, "if [ \"$disk\" = \"(hd*)\" ]; then exit; fi\n"),
            ("wait", Decision::Wait { code: "K7QM".into(), reason: "closed".into() }, "machine: K7QM\"\n"),
            (
                "wait, on the installer's screen",
                Decision::Wait { code: "K7QM".into(), reason: "closed".into() },
                " \"maekin.wait=K7QM\" \"BOOTIF=01-52-54-00-12-34-56\" ",
            ),
        ];
        for (name, decision, wanted) in rows {
            let text = menu(&decision, &target());
            assert!(text.contains(wanted), "{name}: {text}");
        }
    }

    #[test]
    fn an_address_of_version_6_is_named_as_grub_wants_it() {
        assert_eq!(device("http://[fd00::1]:8480"), "(http,[fd00::1]:8480)");
    }

    #[test]
    fn nothing_said_by_others_becomes_a_command() {
        let evil = "x\"\nhalt\n; halt $(x) ${y} `z` \\ | & é";
        let decision = Decision::Wait { code: evil.to_owned(), reason: evil.to_owned() };
        for text in [menu(&decision, &target()), unavailable(evil)] {
            assert!(
                !text.lines().any(|line| line.starts_with("halt")) && !text.contains(['`', '\\']),
                "{text}"
            );
            for line in text.lines().filter(|line| line.starts_with("echo")) {
                let said = line.strip_prefix("echo \"").and_then(|l| l.strip_suffix('"')).expect(line);
                assert!(!said.contains(['"', '$', '`', ';', '\\', '|', '&']), "{line}");
            }
        }
    }
}

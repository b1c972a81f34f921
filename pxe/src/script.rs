//! The iPXE scripts. Pure text; whatever comes from elsewhere is made harmless first, because iPXE expands `${..}`
//! and reads operators anywhere in a line.

use maekin_api::boot::Decision;
use maekin_image::manifest::{INITRD, VMLINUZ};

use crate::boot;
use crate::cmdline::{self, Start};
use crate::hw::HwAddr;

/// Seconds that words stay on the screen before the firmware goes on.
const SHOWN: u32 = 3;
/// Seconds between two questions of a machine that waits.
pub(crate) const ASK_AGAIN: u32 = 10;

/// The machine a script is for, and where our HTTP server is.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Base URL of our HTTP server, without a slash at the end.
    pub http: &'a str,
    /// Those of the other masters of this network, for when we are no more.
    pub others: &'a [String],
    /// The interface it boots from.
    pub hw: HwAddr,
    /// Option 93.
    pub arch: u16,
}

impl Target<'_> {
    /// Where its script is, as iPXE shall ask for it. iPXE fills in the UUID: it has it in RFC 9562 order, which
    /// the option 97 of some firmware is not in.
    #[must_use]
    pub fn script_url(&self) -> String {
        self.script_url_at(self.http)
    }

    fn script_url_at(&self, http: &str) -> String {
        format!("{http}/boot.ipxe?mac={}&uuid=${{uuid}}&arch={}", self.hw, self.arch)
    }

    /// All masters, ours first.
    pub fn masters(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.http).chain(self.others.iter().map(String::as_str))
    }

    /// iPXE's line that goes on with the script of the first master that has one for it, or does `else_do`. A master
    /// that is dead or stands by gives an error, and the next one is asked.
    #[must_use]
    pub fn chain(&self, else_do: &str) -> String {
        let chains =
            self.masters().map(|http| format!("chain --autofree --replace {} || ", self.script_url_at(http)));
        format!("{}{else_do}\n", chains.collect::<String>())
    }
}

/// The script that carries a decision out.
#[must_use]
pub fn boot_script(decision: &Decision, target: &Target<'_>) -> String {
    match decision {
        Decision::Install { ticket } => install(ticket, target),
        Decision::Local => local(target.arch),
        Decision::Wait { code, reason } => {
            let (shown, reason) = (harmless(code), harmless(reason));
            // The installer's wait screen; where it cannot be loaded, the same words from here.
            format!(
                "#!ipxe\necho Maekin: this machine waits to be let in, code {shown}\n{}:failed\nimgfree\n{}",
                load(Start::Wait(code), target),
                wait(&format!("Code of this machine: {shown}"), &format!("It waits: {reason}"), target)
            )
        }
    }
}

/// The script of a machine nobody can decide about just now.
#[must_use]
pub fn unavailable(reason: &str, target: &Target<'_>) -> String {
    let words = "The install master cannot decide yet what this machine shall boot.";
    format!("#!ipxe\n{}", wait(words, &harmless(reason), target))
}

/// Lines that start the installer, or go to `:failed`.
fn load(start: Start<'_>, target: &Target<'_>) -> String {
    let http = target.http;
    let words = cmdline::words(start, target);
    // The names that GRUB and the UEFI stub know the initrd by: iPXE on UEFI hands it over only when it is named.
    format!(
        "imgfree\n\
         kernel --name {VMLINUZ} {http}/release/{VMLINUZ} {words} initrd={INITRD} || goto failed\n\
         initrd --name {INITRD} {http}/release/{INITRD} || goto failed\n\
         boot || goto failed\n"
    )
}

fn install(ticket: &str, target: &Target<'_>) -> String {
    format!(
        "#!ipxe\n\
         echo Maekin: installing this machine\n\
         {}\
         :failed\n\
         echo Maekin: loading failed, trying again in {ASK_AGAIN} seconds\n\
         sleep {ASK_AGAIN}\n\
         {}",
        load(Start::Ticket(ticket), target),
        target.chain("goto failed"),
    )
}

/// BIOS: into the first disk's boot record, or the second's where the first has none; else the BIOS goes on in its own
/// order. UEFI: an error back to the firmware, which then takes its next boot entry (after success EDK2 would show its
/// menu). A machine whose boot drives were replaced finds nothing there: it says what to do.
fn local(arch: u16) -> String {
    let words =
        "echo Maekin: if its drives are new: maekin-agent reinstall NAME on a member, then restart it";
    let go = if boot::is_bios(arch) {
        let disk = |drive: &str| format!("sanboot --no-describe --drive {drive} ||\n");
        format!("{}{}{words}\nsleep {SHOWN}\nexit 1\n", disk("0x80"), disk("0x81"))
    } else {
        format!("{words}\nexit 1\n")
    };
    format!("#!ipxe\necho Maekin: this machine is installed, booting from its disk\n{go}")
}

fn wait(first: &str, second: &str, target: &Target<'_>) -> String {
    format!(
        "echo\n\
         echo Maekin install master at {}\n\
         echo {first}\n\
         echo {second}\n\
         :again\n\
         sleep {ASK_AGAIN}\n\
         {}",
        target.http,
        target.chain("goto again"),
    )
}

/// The script that a signed iPXE without one of its own finds by name: goes straight to our HTTP server, whatever
/// some other DHCP server says. `target` when the client is known by its lease.
#[must_use]
pub fn autoexec(target: Option<&Target<'_>>) -> String {
    let Some(target) = target else { return "#!ipxe\nautoboot\n".to_owned() };
    let mut script = "#!ipxe\n".to_owned();
    // The interface that it loaded from may be any of the first few, and no other shall be asked for an address.
    for n in 0..8 {
        script.push_str(&format!("iseq ${{net{n}/mac}} {} && set dev net{n} ||\n", target.hw));
    }
    script.push_str(&format!(
        "isset ${{dev}} || autoboot\n\
         dhcp ${{dev}} || exit 1\n\
         {}",
        target.chain("exit 1")
    ));
    script
}

/// Text that iPXE prints as it is: letters, digits and a little punctuation.
pub(crate) fn harmless(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || " .,:_-()/'+".contains(c) { c } else { ' ' };
    text.chars().take(200).map(keep).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: &str = "http://10.77.0.1:8480";

    fn target(arch: u16) -> Target<'static> {
        Target { http: HTTP, others: &[], hw: "52:54:00:12:34:56".parse().unwrap(), arch }
    }

    #[test]
    fn an_install_script_names_kernel_initrd_and_ticket() {
        let decision = Decision::Install { ticket: "0123456789abcdef0123456789abcdef".to_owned() };
        let script = boot_script(&decision, &target(7));
        let kernel = "kernel --name vmlinuz http://10.77.0.1:8480/release/vmlinuz maekin.install \
                      maekin.master=http://10.77.0.1:8480 maekin.ticket=0123456789abcdef0123456789abcdef \
                      BOOTIF=01-52-54-00-12-34-56 console=tty0 console=ttyS0,115200n8 initrd=initrd || goto failed\n";
        assert!(script.starts_with("#!ipxe\n") && script.contains(kernel), "{script}");
        assert!(script.contains("initrd --name initrd http://10.77.0.1:8480/release/initrd ||"), "{script}");
    }

    #[test]
    fn an_installed_machine_goes_to_its_disk_in_the_way_its_firmware_needs() {
        let rows = [
            (0, "\nsanboot --no-describe --drive 0x80 ||\nsanboot --no-describe --drive 0x81 ||\necho "),
            (0, "\nsleep 3\nexit 1\n"),
            (7, "\nexit 1\n"),
            (9, "\nexit 1\n"),
            (16, "\nexit 1\n"),
        ];
        for (arch, wanted) in rows {
            let script = boot_script(&Decision::Local, &target(arch));
            assert!(script.contains(wanted), "{arch}: {script}");
        }
    }

    #[test]
    fn tickets_a_waiting_machine_boots_the_wait_screen_or_shows_why_and_asks_again() {
        let decision =
            Decision::Wait { code: "K7QM".to_owned(), reason: "no install window is open".to_owned() };
        let script = boot_script(&decision, &target(0));
        for wanted in [
            " maekin.wait=K7QM BOOTIF=01-52-54-00-12-34-56 ",
            "initrd --name initrd http://10.77.0.1:8480/release/initrd || goto failed\n",
            ":failed\nimgfree\necho\n",
            "echo Code of this machine: K7QM\n",
            "echo It waits: no install window is open\n:again\nsleep 10\n",
            "chain --autofree --replace http://10.77.0.1:8480/boot.ipxe?mac=52:54:00:12:34:56&uuid=${uuid}&arch=0",
        ] {
            assert!(script.contains(wanted), "{wanted}: {script}");
        }
    }

    #[test]
    fn a_machine_survives_its_master_by_asking_the_next_one() {
        let others = ["http://10.77.0.2:8480".to_owned(), "http://10.77.0.3:8480".to_owned()];
        let target = Target { others: &others, ..target(7) };
        let ask = |n: u8| {
            format!(
                "chain --autofree --replace http://10.77.0.{n}:8480/boot.ipxe?mac=52:54:00:12:34:56&uuid=${{uuid}}&arch=7 || "
            )
        };
        let chains = [1, 2, 3].map(ask).concat();
        let ticket = "0123456789abcdef0123456789abcdef".to_owned();
        for (decision, end) in [
            (Decision::Install { ticket }, "goto failed\n"),
            (Decision::Wait { code: "1".to_owned(), reason: "2".to_owned() }, "goto again\n"),
        ] {
            let script = boot_script(&decision, &target);
            assert!(script.ends_with(&format!("\n{chains}{end}")), "{script}");
        }
    }

    #[test]
    fn nothing_said_by_others_becomes_a_command() {
        let evil = "x\nshell\r\n|| shell ${uuid} && `id` ; \u{1b}[2J é";
        let decision = Decision::Wait { code: evil.to_owned(), reason: evil.to_owned() };
        for script in [boot_script(&decision, &target(0)), unavailable(evil, &target(0))] {
            assert!(
                !script.contains("\nshell") && !script.contains("|| shell") && !script.contains('\u{1b}')
            );
            assert_eq!(script.matches("${").count(), 1, "only our own: {script}");
        }
    }

    #[test]
    fn autoexec_takes_the_interface_that_was_leased() {
        let script = autoexec(Some(&target(7)));
        assert!(script.contains("iseq ${net0/mac} 52:54:00:12:34:56 && set dev net0 ||\n"), "{script}");
        assert!(
            script.ends_with("/boot.ipxe?mac=52:54:00:12:34:56&uuid=${uuid}&arch=7 || exit 1\n"),
            "{script}"
        );
        assert_eq!(autoexec(None), "#!ipxe\nautoboot\n");
    }
}

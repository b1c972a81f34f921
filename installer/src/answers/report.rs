//! What `maekin-installer check` prints: whether a file is good, or everything that is wrong with it.

use std::fmt::Write;

use super::{Problem, parse};
use crate::facts::Facts;
use crate::plan;

/// One line that says that the file called `name` is good, with `facts` also for that machine.
///
/// # Errors
/// Everything wrong: of the file by line and key, with what is allowed there; of the machine by drive.
pub fn report(name: &str, text: &str, facts: Option<&Facts>) -> Result<String, String> {
    let answers = parse(text)
        .map_err(|problems| problems.0.iter().map(|problem| wrong(name, problem)).collect::<String>())?;
    let Some(facts) = facts else {
        return Ok(format!("{name}: good; installs node {}", answers.hostname));
    };
    match plan::judge(facts, &answers) {
        Ok(disks) => {
            let drives: Vec<String> = disks.iter().map(|disk| disk.title()).collect();
            Ok(format!("{name}: good; installs node {} on {}", answers.hostname, drives.join(" and ")))
        }
        Err(refusals) => Err(refusals.iter().map(|refusal| format!("{name}: {refusal}\n")).collect()),
    }
}

/// `answer.toml:13: disks.mirror: cannot be 2`, and what would be right.
fn wrong(name: &str, problem: &Problem) -> String {
    let mut text = name.to_owned();
    if let Some(line) = problem.line {
        let _ = write!(text, ":{line}");
    }
    if !problem.key.is_empty() {
        let _ = write!(text, ": {}", problem.key);
    }
    let _ = writeln!(text, ": {}", problem.reason);
    let allowed = problem.allowed();
    if !allowed.is_empty() {
        let _ = writeln!(text, "    allowed: {allowed}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Firmware;
    use crate::facts::tests::{disk, machine, used};

    const GOOD: &str = "version = 1\n[node]\nhostname = \"node-1\"\n[admin]\npassword = \"correct horse\"\n\
        [cluster]\nmode = \"create\"\nname = \"rack\"\n";

    #[test]
    fn a_good_file_is_good_and_on_a_machine_says_where() {
        assert_eq!(report("a.toml", GOOD, None).unwrap(), "a.toml: good; installs node node-1");
        let facts = machine(Firmware::Uefi, vec![disk("vda", 12), disk("vdb", 12)]);
        let text = report("a.toml", GOOD, Some(&facts)).unwrap();
        assert!(text.contains("on vda (QEMU HARDDISK, serial S-vda, 12.0 GiB) and vdb"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_with_line_key_reason_and_what_is_allowed() {
        let text = GOOD.replace("\"create\"", "\"found\"");
        let want = "a.toml:7: cluster.mode: unknown variant `found`, expected one of `create`, `join`, `wait`\n    \
            allowed: `\"create\"`, `\"join\"`, `\"wait\"` (New cluster or existing one)\n";
        assert_eq!(report("a.toml", &text, None).unwrap_err(), want);
    }

    #[test]
    fn what_the_machine_cannot_do_is_told_by_drive_and_interface() {
        let network = "[[network.interface]]\nmac = \"52:54:00:00:00:77\"\ndhcp = true\n";
        let facts = machine(Firmware::Uefi, vec![used("vda", 12)]);
        let text = report("a.toml", &format!("{GOOD}{network}"), Some(&facts)).unwrap_err();
        for part in ["a.toml: vda (QEMU", "it is not blank", "no network interface with the hardware address"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

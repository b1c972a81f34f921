//! Who the node becomes, and whether an install medium's work was done already.

use maekin_rootfs::validate::is_label;
use uuid::Uuid;

use super::Refusal;
use crate::answers::Answers;
use crate::facts::{Facts, PreviousNode};

/// The host name of the node to be: the one that is given, or that of who the machine was. A receipt names this very
/// machine and goes before old boot drives, which may come from another one.
///
/// # Errors
/// Why it is not known who the machine was.
pub(super) fn hostname(facts: &Facts, answers: &Answers) -> Result<String, Refusal> {
    if !answers.keep_identity {
        return Ok(answers.hostname.clone());
    }
    let refuse = |reason: String| {
        let remedy = "give node.hostname instead of install.identity = \"keep\"".to_owned();
        Err(Refusal { disk: None, reason, remedy })
    };
    let on_drives =
        facts.disks.iter().filter(|d| !d.holds_medium).filter_map(|d| d.contents.previous.as_ref());
    let mut known: Vec<&PreviousNode> = match &facts.receipt {
        Some(receipt) => vec![receipt],
        None => on_drives.collect(),
    };
    known.retain(|who| is_label(&who.hostname));
    match known.first() {
        None => refuse(
            "who this machine was is not known: it has no old boot drive, and there is no receipt of it on the medium"
                .to_owned(),
        ),
        Some(first) if known.iter().any(|who| who.hostname != first.hostname) => {
            let mut names: Vec<&str> = known.iter().map(|who| who.hostname.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            refuse(format!("who this machine was is not clear, its drives are those of {}", names.join(" and of ")))
        }
        Some(who) => Ok(who.hostname.clone()),
    }
}

/// The installation that a medium made of this machine and that is still there, and on how many drives.
#[must_use]
pub fn installed_before(facts: &Facts) -> Option<(Uuid, usize)> {
    let receipt = facts.receipt.as_ref()?;
    let here = facts.disks.iter().filter_map(|disk| disk.contents.previous.as_ref());
    let drives = here.filter(|previous| previous.install_id == receipt.install_id).count();
    (drives > 0).then_some((receipt.install_id, drives.min(2)))
}

/// What to tell a person where the medium that was started has installed this machine already, and what it installed is
/// there.
pub(super) fn done_before(facts: &Facts) -> Option<Refusal> {
    let receipt = facts.receipt.as_ref()?;
    let (id, _) = installed_before(facts)?;
    Some(Refusal {
        disk: None,
        reason: format!(
            "this medium has installed this machine already ({}, installation {id})",
            receipt.words()
        ),
        remedy: format!(
            "restart to start what is installed: the medium's menu does so by itself; to install anew without a person, \
             put an empty file again/{id} and the consent below on the medium"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Firmware;
    use crate::facts::tests::{disk, machine, used};
    use crate::plan::tests::answers;
    use uuid::Uuid;

    fn who(hostname: &str, id: u128) -> PreviousNode {
        PreviousNode { hostname: hostname.to_owned(), cluster: None, install_id: Uuid::from_u128(id) }
    }

    #[test]
    fn a_machine_becomes_who_it_was_where_that_is_clear() {
        type Row<'a> = (&'a str, Option<PreviousNode>, Vec<PreviousNode>, Result<&'a str, &'a str>);
        let rows: Vec<Row<'_>> = vec![
            ("nothing is known", None, vec![], Err("is not known")),
            ("an old boot drive", None, vec![who("node-7", 1)], Ok("node-7")),
            ("both old boot drives", None, vec![who("node-7", 1), who("node-7", 1)], Ok("node-7")),
            ("drives of two nodes", None, vec![who("b", 1), who("a", 2)], Err("those of a and of b")),
            ("a receipt", Some(who("node-7", 1)), vec![], Ok("node-7")),
            ("a receipt, and a drive of another", Some(who("node-7", 1)), vec![who("x", 2)], Ok("node-7")),
            ("a receipt with rubbish in it", Some(who("../x", 1)), vec![], Err("is not known")),
        ];
        for (name, receipt, drives, want) in rows {
            let drives = drives.into_iter().map(|previous| {
                let mut disk = used("vda", 12);
                disk.contents.previous = Some(previous);
                disk
            });
            let mut facts = machine(Firmware::Bios, drives.collect());
            facts.receipt = receipt;
            let keep = Answers { hostname: String::new(), keep_identity: true, ..answers("") };
            match (hostname(&facts, &keep), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{name}"),
                (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{name}: {got}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
            assert_eq!(hostname(&facts, &answers("")).unwrap(), answers("").hostname, "{name}");
        }
    }

    #[test]
    fn a_medium_says_when_its_work_was_done() {
        let mut ours = used("vda", 12);
        ours.contents.previous = Some(who("node-7", 1));
        let mut facts = machine(Firmware::Bios, vec![disk("vdb", 12), ours]);
        assert_eq!(done_before(&facts), None, "no receipt");
        facts.receipt = Some(who("node-7", 2));
        assert_eq!(done_before(&facts), None, "of an installation that is gone");
        facts.receipt = Some(who("node-7", 1));
        assert_eq!(installed_before(&facts), Some((Uuid::from_u128(1), 1)));
        let text = done_before(&facts).unwrap().to_string();
        assert!(
            text.contains("\"node-7\"") && text.contains(&format!("again/{}", Uuid::from_u128(1))),
            "{text}"
        );
    }
}

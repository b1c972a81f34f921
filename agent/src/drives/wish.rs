//! What people want of a drive, checked against how it is. Pure.

use maekin_api::drives::{Drive, State};

use super::DriveError;
use super::inventory::title;
use super::values::{ConsentValue, RetireValue, WishValue};

/// Longest reason that is kept.
const REASON: usize = 200;
/// Longest name of who wants it.
const WHO: usize = 100;

/// What is wanted once somebody consented that storage has the drive, from what was wanted `before`; `boot` is the start of
/// its node's machine that its inventory was told in.
///
/// # Errors
/// Why that cannot be, or what is lost by it.
pub(crate) fn plan_take(
    drive: &Drive,
    before: Option<WishValue>,
    consent: &str,
    (by, boot): (&str, &str),
    now: u64,
) -> Result<WishValue, DriveError> {
    let before = before.filter(|wish| wish.node == drive.node_id).unwrap_or_default();
    let wish = WishValue { drive: drive.id.clone(), node: drive.node_id.clone(), ..before };
    let given = || {
        Some(ConsentValue {
            token: consent.to_owned(),
            by: bounded(by, WHO),
            at: now,
            boot: bounded(boot, WHO),
        })
    };
    let token = drive.content.token.as_str();
    let (id, what) = (drive.id.clone(), drive.content.what.join("; "));
    let outdated =
        || DriveError::ConsentOutdated { id: id.clone(), what: what.clone(), token: token.to_owned() };
    match drive.state {
        State::WaitingForConsent if consent.is_empty() => {
            Err(DriveError::ConsentNeeded { id, what, token: token.to_owned() })
        }
        State::WaitingForConsent if token.is_empty() || consent != token => Err(outdated()),
        State::WaitingForConsent => Ok(WishValue { consent: given(), ..wish }),
        // Taken back: whoever consents at once spares himself the question.
        State::Retiring | State::Retired if consent.is_empty() => Ok(WishValue { retire: None, ..wish }),
        State::Retiring | State::Retired if consent != token => Err(outdated()),
        State::Retiring | State::Retired => Ok(WishValue { consent: given(), retire: None, ..wish }),
        State::Spare => Ok(wish), // it has it
        State::InUse => unfit(drive, format!("it has it already: {}", drive.why)),
        State::Gone => unfit(drive, format!("it is not in {} any more", drive.node)),
        State::Refused | State::Failing => unfit(drive, with_remedy(drive)),
    }
}

/// What is wanted once somebody wants it emptied.
pub(crate) fn plan_retire(
    drive: &Drive,
    before: Option<WishValue>,
    reason: &str,
    by: &str,
    now: u64,
) -> WishValue {
    let before = before.filter(|wish| wish.node == drive.node_id).unwrap_or_default();
    let (by, reason) = (bounded(by, WHO), bounded(reason, REASON));
    let begun = RetireValue { by, at: now, reason, done: 0 };
    // Consent ends with it: whoever puts the drive in again is asked again.
    let retire = before.retire.filter(|retire| retire.done == 0).or(Some(begun));
    WishValue { drive: drive.id.clone(), node: drive.node_id.clone(), consent: None, retire }
}

/// What is wanted once it is empty; `None` where somebody took that back meanwhile.
pub(crate) fn plan_retired(before: Option<WishValue>, node: &str, now: u64) -> Option<WishValue> {
    let wish = before.filter(|wish| wish.node == node)?;
    let retire = RetireValue { done: now.max(1), ..wish.retire.clone()? };
    Some(WishValue { retire: Some(retire), ..wish })
}

fn unfit<T>(drive: &Drive, why: String) -> Result<T, DriveError> {
    Err(DriveError::Unfit { id: format!("{} ({})", drive.id, title(drive)), state: drive.state, why })
}

fn with_remedy(drive: &Drive) -> String {
    if drive.remedy.is_empty() { drive.why.clone() } else { format!("{}; {}", drive.why, drive.remedy) }
}

fn bounded(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect()
}

#[cfg(test)]
mod tests {
    use maekin_api::drives::Content;

    use super::*;

    fn drive(state: State) -> Drive {
        let content = Content { what: vec!["ZFS".into()], token: "t1".into(), ..Content::default() };
        Drive { id: "sn-a1".into(), node_id: "n1".into(), state, content, ..Drive::default() }
    }

    fn wish(node: &str, consent: Option<&str>, retired: Option<u64>) -> WishValue {
        let consent = consent.map(|token| ConsentValue { token: token.into(), ..ConsentValue::default() });
        let retire = retired.map(|done| RetireValue { done, ..RetireValue::default() });
        WishValue { drive: "sn-a1".into(), node: node.into(), consent, retire }
    }

    #[test]
    fn drives_are_wished_for_with_consent_to_what_they_hold() {
        use State::{Failing, Gone, InUse, Refused, Retired, Retiring, Spare, WaitingForConsent};
        /// Name; state; wished before; consent; consent and retirement wished then, or the error.
        type Row = (
            &'static str,
            State,
            Option<WishValue>,
            &'static str,
            Result<(Option<&'static str>, bool), &'static str>,
        );
        let rows: Vec<Row> = vec![
            ("yes", WaitingForConsent, None, "t1", Ok((Some("t1"), false))),
            ("nothing said", WaitingForConsent, None, "", Err("would be lost: ZFS; if it may: consent t1")),
            ("yes to another", WaitingForConsent, None, "t0", Err("now it holds: ZFS")),
            (
                "yes in another node",
                WaitingForConsent,
                Some(wish("n2", Some("t1"), Some(1))),
                "t1",
                Ok((Some("t1"), false)),
            ),
            ("taken back", Retiring, Some(wish("n1", None, Some(0))), "", Ok((None, false))),
            ("taken back at its end", Retired, Some(wish("n1", None, Some(9))), "", Ok((None, false))),
            ("taken back, and yes", Retired, Some(wish("n1", None, Some(9))), "t1", Ok((Some("t1"), false))),
            (
                "taken back, and yes to another",
                Retired,
                Some(wish("n1", None, Some(9))),
                "t0",
                Err("now it holds"),
            ),
            ("a spare", Spare, Some(wish("n1", Some("t1"), None)), "", Ok((Some("t1"), false))),
            ("in use", InUse, None, "t1", Err("it has it already")),
            ("gone", Gone, None, "t1", Err("any more")),
            ("refused", Refused, None, "t1", Err("refused")),
            ("failing", Failing, None, "t1", Err("failing")),
        ];
        for (name, state, before, consent, want) in rows {
            let got = plan_take(&drive(state), before, consent, ("eva\n", "b1"), 5);
            match (got, want) {
                (Ok(wish), Ok(want)) => {
                    let token = wish.consent.as_ref().map(|consent| consent.token.as_str());
                    assert_eq!((token, wish.retire.is_some()), want, "{name}");
                    assert_eq!((wish.drive.as_str(), wish.node.as_str()), ("sn-a1", "n1"), "{name}");
                    if let Some(given) = wish.consent.filter(|given| given.at == 5) {
                        assert_eq!(given.boot, "b1", "{name}: it counts until the machine starts again");
                    }
                }
                (Err(e), Err(part)) => assert!(e.to_string().contains(part), "{name}: {e}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
        let blind = Drive { content: Content::default(), ..drive(WaitingForConsent) };
        assert!(
            plan_take(&blind, None, "", ("eva", "b1"), 5).is_err(),
            "nothing stands for what is not known"
        );
        assert!(plan_take(&blind, None, "x", ("eva", "b1"), 5).is_err());
    }

    #[test]
    fn drives_are_retired_once_and_can_be_kept() {
        let drive = drive(State::Spare);
        let begun = plan_retire(&drive, Some(wish("n1", Some("t1"), None)), "fan\nx", "eva", 5);
        let retire = begun.retire.clone().unwrap();
        assert_eq!((retire.at, retire.done, retire.reason.as_str()), (5, 0, "fan x"));
        assert_eq!(begun.consent, None, "consent ends");
        assert_eq!(plan_retire(&drive, Some(begun.clone()), "again", "bob", 6), begun, "twice is once");
        let done = plan_retired(Some(begun), "n1", 7).unwrap();
        assert_eq!(done.retire.as_ref().map(|retire| retire.done), Some(7));
        let anew = plan_retire(&drive, Some(done), "again", "bob", 8);
        assert_eq!(anew.retire.map(|retire| (retire.at, retire.done)), Some((8, 0)), "another time");
        assert_eq!(plan_retired(Some(wish("n1", None, None)), "n1", 7), None, "taken back");
        assert_eq!(plan_retired(Some(wish("n2", None, Some(0))), "n1", 7), None, "of another node");
        assert_eq!(plan_retired(None, "n1", 7), None);
    }
}

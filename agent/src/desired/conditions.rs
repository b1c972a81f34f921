//! What the appliers say becomes the status of the node. Pure.

use maekin_api::alarm::{Alarm, Severity};
use maekin_api::settings::{Condition, ConditionStatus, SettingsStatus, condition};

use super::applier::{APPLIED, Outcome, WORKING};

/// Longest message, characters.
const LONGEST: usize = 500;

/// Writes down what became of a part in `generation`. The time moves only when the status does.
pub(crate) fn note(status: &mut SettingsStatus, kind: &str, outcome: &Outcome, generation: u64, now: u64) {
    let message: String = outcome.message.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let new = Condition {
        kind: kind.to_owned(),
        status: outcome.status,
        reason: outcome.reason.to_owned(),
        message,
        since: now,
        observed_generation: generation,
    };
    set(status, new);
}

fn set(status: &mut SettingsStatus, mut new: Condition) {
    match status.conditions.iter_mut().find(|old| old.kind == new.kind) {
        Some(old) => {
            if old.status == new.status {
                new.since = old.since;
            }
            *old = new;
        }
        None => status.conditions.push(new),
    }
    status.conditions.sort_by(|a, b| {
        let place = |c: &Condition| (c.kind != condition::READY, c.kind.clone());
        place(a).cmp(&place(b))
    });
}

/// Draws the sum: `Ready` is true where every one of `parts` is, in this generation.
pub(crate) fn sum(status: &mut SettingsStatus, parts: &[&str], generation: u64, now: u64) {
    status.observed_generation = generation;
    status.conditions.retain(|c| c.kind == condition::READY || parts.contains(&c.kind.as_str()));
    let own = |kind: &&&str| status.condition(kind).filter(|c| c.observed_generation == generation);
    let wrong = parts
        .iter()
        .filter_map(|kind| own(&kind))
        .find(|c| c.status == ConditionStatus::False)
        .map(|c| (c.kind.clone(), c.message.clone()));
    let waits = parts.iter().find(|kind| own(kind).is_none_or(|c| c.status == ConditionStatus::Unknown));
    let (is, reason, message) = match (wrong, waits) {
        (Some((kind, why)), _) => (ConditionStatus::False, kind, why),
        (None, Some(kind)) => (ConditionStatus::Unknown, WORKING.to_owned(), format!("{kind} is under way")),
        (None, None) => (ConditionStatus::True, APPLIED.to_owned(), String::new()),
    };
    let (kind, since) = (condition::READY.to_owned(), now);
    set(status, Condition { kind, status: is, reason, message, since, observed_generation: generation });
}

/// What a person should know of: parts that are not as they shall be.
pub(crate) fn alarms(status: &SettingsStatus) -> Vec<Alarm> {
    let wrong = |c: &&Condition| c.status == ConditionStatus::False;
    let parts: Vec<_> = status.conditions.iter().filter(wrong).collect();
    // The sum is told only where no part is: the settings as a whole were not understood.
    let told = |c: &&&Condition| c.kind != condition::READY || parts.len() == 1;
    parts
        .iter()
        .filter(told)
        .map(|c| Alarm {
            id: format!("settings-{}", c.kind.to_ascii_lowercase()),
            severity: Severity::Warning,
            since: c.since,
            what: format!("The settings of this node are not applied ({}, {}): {}", c.kind, c.reason, c.message),
            remedy: "Change the settings (`maekin describe settings NODE`), or remove what it names; it is tried again by itself."
                .to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use ConditionStatus::{False, True, Unknown};

    const PARTS: [&str; 2] = [condition::HOSTNAME, condition::TIME];

    #[test]
    fn api_settings_conditions_sum_up_and_keep_their_time() {
        let done = || Outcome::is(true);
        let failed = || Outcome::failed("Failed", "no\u{1b}[1m luck");
        let waits = || Outcome::working("Working", "soon", Duration::from_secs(1));
        // What happens to which part in which generation, and what the sum is then.
        type Row<'a> = (&'a str, &'a [(&'a str, Outcome, u64)], u64, ConditionStatus, &'a str, u64);
        let rows: [Row<'_>; 7] = [
            ("nothing yet", &[], 1, Unknown, "Working", 1),
            ("one of two", &[("Time", done(), 1)], 1, Unknown, "Working", 1),
            ("both", &[("Hostname", done(), 1)], 1, True, "Applied", 3),
            ("the same again", &[("Hostname", done(), 1)], 1, True, "Applied", 3),
            ("one fails", &[("Time", failed(), 1)], 1, False, "Time", 5),
            ("another generation", &[("Hostname", waits(), 2)], 2, Unknown, "Working", 6),
            ("made good", &[("Hostname", done(), 2), ("Time", done(), 2)], 2, True, "Applied", 7),
        ];
        let mut status = SettingsStatus::default();
        for (at, (name, notes, generation, want, reason, since)) in rows.into_iter().enumerate() {
            let now = at as u64 + 1;
            for (kind, outcome, generation) in notes {
                note(&mut status, kind, outcome, *generation, now);
            }
            sum(&mut status, &PARTS, generation, now);
            let ready = status.condition(condition::READY).unwrap();
            assert_eq!(
                (ready.status, ready.reason.as_str(), ready.since, status.observed_generation),
                (want, reason, since, generation),
                "{name}"
            );
            assert_eq!(status.conditions[0].kind, condition::READY, "{name}: it comes first");
            assert!(!status.conditions.iter().any(|c| c.message.contains('\u{1b}')), "{name}");
            // A part that failed is told of until it is known to be well.
            let wrong = status.condition("Time").is_some_and(|time| time.status == False);
            assert_eq!(alarms(&status).len(), usize::from(wrong), "{name}");
        }
        assert_eq!(status.condition("Hostname").unwrap().since, 7);
        status.conditions.push(Condition { kind: "Gone".into(), ..Condition::default() });
        sum(&mut status, &PARTS, 2, 9);
        assert!(status.condition("Gone").is_none(), "a part that this release does not have says nothing");
    }

    #[test]
    fn api_settings_that_are_not_understood_are_an_alarm_too() {
        let mut status = SettingsStatus::default();
        note(&mut status, condition::READY, &Outcome::failed("NotUnderstood", "newer"), 3, 1);
        assert_eq!(alarms(&status)[0].id, "settings-ready");
    }
}

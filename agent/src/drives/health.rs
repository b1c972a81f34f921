//! From a drive's own word to a verdict on its health. Pure.

use maekin_api::drives::{Health, Verdict};
use maekin_host::smart::Smart;

/// Bits of an NVMe drive's critical warning that mean it is failing: no spare room, degraded, no more writes. Heat passes,
/// and its backup for power cuts is another's trouble.
const FAILING: u8 = 0b1101;
/// Percent of its life from which on a replacement should be at hand.
const WORN: u8 = 90;
/// Sectors that a drive may have replaced before that.
const REPLACED: u64 = 100;

/// How hot a drive has to become, or cool, to be told anew: temperatures change all the time.
const DEGREES: i16 = 10;
/// How many hours it has to run for that.
const HOURS: u64 = 24;

/// Judges.
pub(crate) fn judge(smart: &Smart) -> Health {
    let some = |count: Option<u64>, least: u64| count.is_some_and(|count| count >= least);
    let failing = smart.passed == Some(false) || smart.warnings & FAILING != 0;
    let damaged = some(smart.media_errors, 1) || some(smart.pending, 1) || some(smart.lost, 1);
    let replaced = some(smart.replaced, REPLACED) || some(smart.grown, REPLACED);
    let worn = smart.wear.is_some_and(|wear| wear >= WORN) || damaged || replaced || smart.warnings != 0;
    let verdict = match smart.passed {
        _ if failing => Verdict::Failing,
        _ if worn => Verdict::Worn,
        Some(_) => Verdict::Well,
        None => Verdict::Unknown,
    };
    let mut reasons = smart.complaints();
    if let Some(wear) = smart.wear.filter(|wear| *wear >= WORN) {
        reasons.push(format!("{wear}% of its life are used up"));
    }
    Health {
        verdict,
        reason: reasons.join(", "),
        wear: smart.wear,
        temperature: smart.temperature,
        hours: smart.hours,
        media_errors: smart.media_errors,
        replaced: smart.replaced.or(smart.grown),
    }
}

/// Whether a drive's health is another one than was told: what always changes a little is not, until it changed a lot.
pub(crate) fn differs(told: &Health, now: &Health) -> bool {
    let temperature = match (told.temperature, now.temperature) {
        (Some(a), Some(b)) if a.abs_diff(b) < DEGREES.unsigned_abs() => told.temperature,
        _ => now.temperature,
    };
    let hours = match (told.hours, now.hours) {
        (Some(a), Some(b)) if a.abs_diff(b) < HOURS => told.hours,
        _ => now.hours,
    };
    *told != Health { temperature, hours, ..now.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_judged_by_their_own_word() {
        let smart = |change: fn(&mut Smart)| {
            let mut smart = Smart { passed: Some(true), ..Smart::default() };
            change(&mut smart);
            smart
        };
        let rows = [
            ("well", smart(|_| {}), Verdict::Well, ""),
            ("says nothing", smart(|s| s.passed = None), Verdict::Unknown, ""),
            ("failing", smart(|s| s.passed = Some(false)), Verdict::Failing, "it says that it is failing"),
            ("takes no writes", smart(|s| s.warnings = 8), Verdict::Failing, "it takes no more writes"),
            ("hot", smart(|s| s.warnings = 2), Verdict::Worn, "it is too hot or too cold"),
            ("half worn", smart(|s| s.wear = Some(50)), Verdict::Well, ""),
            ("worn", smart(|s| s.wear = Some(120)), Verdict::Worn, "120% of its life are used up"),
            ("an error", smart(|s| s.media_errors = Some(1)), Verdict::Worn, "1 errors of its medium"),
            ("a few replaced", smart(|s| s.replaced = Some(8)), Verdict::Well, "8 sectors replaced"),
            ("many replaced", smart(|s| s.replaced = Some(800)), Verdict::Worn, "800 sectors replaced"),
            ("unreadable", smart(|s| s.lost = Some(2)), Verdict::Worn, "2 sectors that cannot be read"),
        ];
        for (name, smart, verdict, reason) in rows {
            let got = judge(&smart);
            assert_eq!((got.verdict, got.reason.as_str()), (verdict, reason), "{name}");
        }
    }

    #[test]
    fn drives_warming_up_are_no_news() {
        let told = Health {
            verdict: Verdict::Well,
            temperature: Some(40),
            hours: Some(100),
            wear: Some(3),
            ..Health::default()
        };
        let with = |change: fn(&mut Health)| {
            let mut health = told.clone();
            change(&mut health);
            health
        };
        let rows = [
            ("the same", with(|_| {}), false),
            ("a little warmer", with(|h| h.temperature = Some(49)), false),
            ("much warmer", with(|h| h.temperature = Some(50)), true),
            ("much colder", with(|h| h.temperature = Some(-40)), true),
            ("no word any more", with(|h| h.temperature = None), true),
            ("some hours later", with(|h| h.hours = Some(123)), false),
            ("a day later", with(|h| h.hours = Some(124)), true),
            ("worn a little", with(|h| h.wear = Some(4)), true),
            ("failing", with(|h| h.verdict = Verdict::Failing), true),
        ];
        for (name, now, want) in rows {
            assert_eq!(differs(&told, &now), want, "{name}");
        }
    }
}

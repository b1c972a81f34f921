//! What a member does itself: it trusts the new CA too, has a certificate of it, and forgets the old one; its voter is
//! restarted with each change of what it trusts, one voter after another.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{ChangeError, kept};
use crate::app::{App, Member};
use crate::membership::{MembershipError, etcd, signer};
use crate::pki::bundle::Bundle;
use crate::pki::ca::Ca;
use crate::pki::identity::Credentials;
use crate::record::keys;
use crate::record::look::Look;
use crate::record::values::CaValue;
use crate::record::voters::Voter;
use crate::sealed::keyring::Ring;
use crate::trust::values::{CaChangeValue, CaPhase};
use crate::trust::{crl, renew};

/// How long after a try that failed the next one is made.
const PAUSE: Duration = Duration::from_secs(10);
/// Longest wait for voters whose nodes are not there, and for those that are being made: as long as a phase waits.
const GENTLE: Duration = Duration::from_secs(super::plan::AWAY);
/// Most steps in one turn.
const STEPS: usize = 4;

/// What a member does next about what it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// Nothing.
    Nothing,
    /// Trust the new one too.
    Trust,
    /// Get a certificate of it.
    Renew,
    /// Trust those that are named, and no others.
    Forget,
}

/// Decides that for a member with a certificate of `issuer` that trusts `trusted`. Pure.
fn plan_own(value: &CaChangeValue, issuer: &str, trusted: &[String]) -> Own {
    let has = |ca: &str| trusted.iter().any(|have| have == ca);
    if !has(&value.new) {
        return Own::Trust;
    }
    if value.phase != CaPhase::Trust && issuer != value.new {
        return Own::Renew;
    }
    let wanted = value.trusted();
    if wanted.contains(&issuer) && trusted.iter().any(|ca| !wanted.contains(&ca.as_str())) {
        return Own::Forget;
    }
    Own::Nothing
}

/// The CA at `place` in the record, where it is the one with that fingerprint and its key opens: only who has the sealing
/// key of today can have put it there. Pure but for that.
///
/// # Errors
/// [`ChangeError`].
pub(super) fn vouched(
    seal: &Ring,
    place: &'static str,
    value: &CaValue,
    sha256: &str,
) -> Result<Ca, ChangeError> {
    let key = seal.open(place, &value.sealed_key)?;
    let ca = Ca::from_pem(value.cert.clone(), &String::from_utf8_lossy(&key))?;
    if ca.fingerprint()? == sha256 && ca.fits() { Ok(ca) } else { Err(ChangeError::NotItsKey(place)) }
}

fn load(app: &App) -> Result<Option<Credentials>, ChangeError> {
    Ok(Credentials::load(&app.settings.pki(), &app.key, &app.node_id)?)
}

/// Follows what the record says.
///
/// # Errors
/// [`ChangeError`]; what was done is done, and the next look goes on.
pub(super) async fn follow(app: &App, member: &Member, look: &Look) -> Result<(), ChangeError> {
    let Some(found) = &look.ca_change else { return Ok(()) };
    let state = &app.trust.ca;
    let (done, waits, seen) = state.with(|state| {
        let before = state.seen.filter(|(revision, _)| *revision == found.revision);
        let (_, first) = *state.seen.insert(before.unwrap_or_else(|| (found.revision, Instant::now())));
        let waits = state.failed.is_some_and(|failed| failed.elapsed() < PAUSE);
        (state.done == Some(found.revision), waits, first.elapsed())
    });
    if done || waits {
        return Ok(());
    }
    let outcome = steps(app, member, look, &found.value, seen).await;
    let whole = matches!(outcome, Ok(true));
    state.with(|state| {
        state.failed = outcome.is_err().then(Instant::now);
        if whole {
            state.done = Some(found.revision);
        }
    });
    outcome.map(drop)
}

/// Everything that there is to do now; whether that is all.
async fn steps(
    app: &App,
    member: &Member,
    look: &Look,
    value: &CaChangeValue,
    seen: Duration,
) -> Result<bool, ChangeError> {
    let mut last = Own::Nothing;
    for _ in 0..STEPS {
        let Some(own) = load(app)? else { return Ok(false) };
        let issuer = own.issuer().map(|ca| ca.sha256).unwrap_or_default();
        let step = plan_own(value, &issuer, &own.bundle()?.fingerprints());
        if step == Own::Nothing {
            break;
        }
        if step == last {
            return Err(ChangeError::Stuck);
        }
        last = step;
        tracing::info!(?step, epoch = value.epoch, "this node follows the change of the cluster's CA");
        match step {
            Own::Nothing => {}
            Own::Trust => trust_too(app, member, value).await?,
            Own::Renew => {
                renew::turn(app, member, true).await?;
                // Before it is told: whoever gives up the old CA relies on it.
                signer::keep_copy(app, member).await?;
            }
            Own::Forget => forget(app, member, value).await?,
        }
    }
    member.set_ca_sha256(value.pin());
    let all = voter_follows(app, member, look, seen).await?;
    if let Some(own) = load(app)? {
        app.trust.ca.took(&app.settings, &own);
    }
    Ok(all)
}

async fn trust_too(app: &App, member: &Member, value: &CaChangeValue) -> Result<(), ChangeError> {
    if kept::former(&app.settings).has(&value.new) {
        return Err(ChangeError::GivenUp(value.new.clone()));
    }
    let place = if value.phase == CaPhase::Trust { keys::CA_NEXT } else { keys::CA };
    let found = member.record.get::<CaValue>(place).await?.ok_or(ChangeError::NotThere(place))?;
    let ca = vouched(&member.seal, place, &found.value, &value.new)?;
    let _files = app.trust.ca.files.lock().await;
    let Some(own) = load(app)? else { return Ok(()) };
    let trusted = own.bundle()?.with(&Bundle::parse(&ca.pem)?);
    take(app, member, Credentials { ca: trusted.text(), ..own }).await
}

async fn forget(app: &App, member: &Member, value: &CaChangeValue) -> Result<(), ChangeError> {
    let _files = app.trust.ca.files.lock().await;
    let Some(own) = load(app)? else { return Ok(()) };
    let (trusted, gone) = own.bundle()?.split(&value.trusted());
    kept::give_up(&app.settings, &gone)?;
    take(app, member, Credentials { ca: trusted.text(), ..own }).await
}

async fn take(app: &App, member: &Member, new: Credentials) -> Result<(), ChangeError> {
    new.store(&app.settings.pki())?;
    Ok(renew::take_over(app, member, &new).await?)
}

/// Restarts the voter of this node where it trusts others than the node does, when it is its turn; whether that is done.
async fn voter_follows(app: &App, member: &Member, look: &Look, seen: Duration) -> Result<bool, ChangeError> {
    let (Some(started), Some(own)) = (kept::voter_trusts(&app.settings), load(app)?) else { return Ok(true) };
    let wanted = own.bundle()?.fingerprints();
    if wanted.len() == started.len() && wanted.iter().all(|ca| started.contains(ca)) {
        return Ok(true);
    }
    if !spared(app, member, look, seen).await || !crl::take_turn(&member.record, &app.node_id).await? {
        return Ok(false);
    }
    // Another one had its turn a moment ago, perhaps.
    if !spared(app, member, look, seen).await {
        crl::give_turn(&member.record).await?;
        return Ok(false);
    }
    tracing::info!("this node's voter is restarted: the CAs that it trusts have changed");
    restart(app, member).await?;
    Ok(true)
}

/// Whether the record can spare our voter at this moment: every other one is asked.
async fn spared(app: &App, member: &Member, look: &Look, seen: Duration) -> bool {
    let statuses = member.record.statuses().await;
    // One that hears no leader is with nobody.
    let serving = statuses.iter().filter(|(_, status)| status.leader != 0).map(|(_, status)| status.id);
    is_spared(&app.node_id, &look.voters, &look.alive, &serving.collect(), seen)
}

/// Decides that. `serving` are ids of voters that are with the others. A voter of a member that is there is waited for until it
/// serves, however long that takes: what keeps it from that may keep ours from it too. One of a member that is away, and one
/// that is being made, only so long. Pure.
fn is_spared(
    own_id: &str,
    voters: &[Voter],
    alive: &BTreeSet<String>,
    serving: &BTreeSet<u64>,
    seen: Duration,
) -> bool {
    let alone = voters.iter().filter(|voter| !voter.learner).count() == 1;
    voters.iter().filter(|voter| voter.name != own_id).all(|voter| {
        if voter.learner {
            alone || seen >= GENTLE
        } else {
            serving.contains(&voter.id) || (!alive.contains(&voter.name) && seen >= GENTLE)
        }
    })
}

async fn restart(app: &App, member: &Member) -> Result<(), MembershipError> {
    etcd::restart(app, &member.cluster.id, &member.own).await?;
    crl::answers(app, &member.record).await;
    crl::give_turn(&member.record).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_a_voter_restarts_when_the_record_can_spare_it() {
        let (soon, late) = (GENTLE - Duration::from_secs(1), GENTLE);
        // Name; votes; learner; alive; voters that serve; since when; whether. We are a.
        let rows = [
            ("alone", "a", "", "a", "a", soon, true),
            ("and has a copy", "a", "b", "ab", "a", soon, true),
            ("two", "ab", "", "ab", "ab", soon, true),
            ("two, until the third votes", "ab", "c", "abc", "ab", soon, false),
            ("that takes long", "ab", "c", "abc", "ab", late, true),
            ("three", "abc", "", "abc", "abc", soon, true),
            ("ours is asked for by nobody", "abc", "", "abc", "bc", soon, true),
            ("one was restarted, and does not serve yet", "abc", "", "abc", "ab", soon, false),
            ("nor does it later", "abc", "", "abc", "ab", late, false),
            ("one of three is away", "abc", "", "ab", "ab", soon, false),
            ("its agent is away, its voter serves", "abc", "", "ab", "abc", soon, true),
            ("for long", "abc", "", "ab", "ab", late, true),
            ("and another one does not serve", "abcd", "", "abc", "ab", late, false),
        ];
        for (name, votes, learner, alive, serving, seen, want) in rows {
            let id = |c: char| u64::from(u32::from(c));
            let voter =
                |c: char, learner| Voter { id: id(c), peer_url: String::new(), name: c.into(), learner };
            let votes = votes.chars().map(|c| voter(c, false));
            let voters: Vec<_> = votes.chain(learner.chars().map(|c| voter(c, true))).collect();
            let alive = alive.chars().map(String::from).collect();
            let serving = serving.chars().map(id).collect();
            assert_eq!(is_spared("a", &voters, &alive, &serving, seen), want, "{name}");
        }
    }

    #[test]
    fn join_a_member_follows_a_change_of_the_ca_from_wherever_it_is() {
        use CaPhase::{Drop, Issue, Rest, Trust};
        // Name; phase, old and new; what it trusts, the CA of its certificate first; what it does.
        let rows = [
            ("nothing is under way", Rest, "-1", "1", Own::Nothing),
            ("a new one", Trust, "12", "1", Own::Trust),
            ("trusted", Trust, "12", "12", Own::Nothing),
            ("one that was made before, and given up", Trust, "13", "12", Own::Trust),
            ("that one goes", Trust, "13", "123", Own::Forget),
            ("certificates of it", Issue, "12", "12", Own::Renew),
            ("it was away in between", Issue, "12", "1", Own::Trust),
            ("has one", Issue, "12", "21", Own::Nothing),
            ("the old one goes", Drop, "12", "21", Own::Forget),
            ("it is not ready for that", Drop, "12", "12", Own::Renew),
            ("gone", Drop, "12", "2", Own::Nothing),
            ("over, and it is late", Rest, "-2", "21", Own::Forget),
            ("over", Rest, "-2", "2", Own::Nothing),
            ("put back from before that", Trust, "12", "2", Own::Nothing),
        ];
        for (name, phase, cas, have, want) in rows {
            let all = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            let (cas, have) = (all(cas), all(have));
            let value =
                CaChangeValue { phase, old: cas[0].clone(), new: cas[1].clone(), ..CaChangeValue::default() };
            assert_eq!(plan_own(&value, &have[0], &have), want, "{name}");
        }
    }
}

//! What names the CA that goes is taken back: join tokens, secrets of invitations, and those of installations whose machines
//! were told of it. Whoever has the old CA's key can pass for a member before their bearers, and a bearer tells him his
//! secret; so that secret is good for nothing from then on. No word of the old CA for the new one would help: whoever
//! has its key can give that word too.

use maekin_api::install::{Progress, What};

use super::{ChangeError, audited};
use crate::app::App;
use crate::clock::now;
use crate::install::invites;
use crate::record::keys::{self, under};
use crate::record::values::{InviteValue, TicketValue};
use crate::record::{Change, Record};
use crate::trust::values::{CaChangeValue, CaPhase, TokenValue};

/// What is to be done about an installed machine.
const TOKEN: &str = "the cluster's CA was changed: make a token (`maekin-agent token create`) and give it to \
                     `maekin-agent join` on the machine";
/// What is to be done about one that is not installed yet.
const AGAIN: &str = "the cluster's CA was changed: let the machine in again, and boot it from the network";

/// Takes all of that back; whether nothing was left because it changed in that very moment. It is looked for once when the
/// new CA is the cluster's, and once more when the old one goes: a member may hear of the first a moment late.
///
/// # Errors
/// [`ChangeError`]; what was taken back stays so.
pub(super) async fn withdraw(
    app: &App,
    record: &Record,
    change: &CaChangeValue,
) -> Result<bool, ChangeError> {
    if change.phase == CaPhase::Issue {
        tokens(app, record, change.since).await?;
    }
    secrets(app, record, &change.new).await?;
    tickets(app, record, &change.new).await
}

/// Join tokens: nodes that have them would believe no member any more.
async fn tokens(app: &App, record: &Record, before: u64) -> Result<(), ChangeError> {
    let mut gone = Vec::new();
    for token in record.list::<TokenValue>(keys::JOIN_TOKENS).await? {
        let open = token.value.state(now()) == maekin_api::trust::TokenState::Open;
        if !open || token.value.created_at >= before {
            continue;
        }
        let key = under(keys::JOIN_TOKENS, &token.value.id);
        if record.commit(Change::default().if_unchanged(&key, token.revision).delete(&key)).await? {
            gone.push(token.value.id);
        }
    }
    if !gone.is_empty() {
        audited(app, format!("join tokens that name the old CA were taken back: {}", gone.join(", ")));
    }
    Ok(())
}

/// Whether it is the secret of an invitation that is open, and names another CA than `new`. Pure.
fn names_another(invite: &InviteValue, new: &str, now: u64) -> bool {
    invite.used.is_none() && now < invite.expires && invite.ticket.is_none() && invite.ca != new
}

/// Secrets of invitations that nobody used. Those of installations go with their tickets.
async fn secrets(app: &App, record: &Record, new: &str) -> Result<(), ChangeError> {
    let mut gone = 0_usize;
    for (digest, invite) in record.list_keyed::<InviteValue>(keys::INVITES).await? {
        if !names_another(&invite, new, now()) {
            continue;
        }
        let key = under(keys::INVITES, &digest);
        let Some(found) = record.get::<InviteValue>(&key).await? else { continue };
        if names_another(&found.value, new, now()) {
            let change = Change::default().if_unchanged(&key, found.revision).delete(&key);
            gone += usize::from(record.commit(change).await?);
        }
    }
    if gone > 0 {
        audited(app, format!("{gone} secrets of `maekin-agent invite` that name the old CA were taken back"));
    }
    Ok(())
}

/// What becomes of a ticket whose machine was told to trust another CA than `new`; `None` for any other. An installed
/// machine boots from its disk as before, and is given a token; any other one is let in again. Pure.
fn plan_withdrawal(ticket: &TicketValue, new: &str, now: u64) -> Option<TicketValue> {
    let under_way = matches!(ticket.progress, Progress::Installing { .. } | Progress::Installed);
    // Where no CA is noted, a member of an earlier release gave the answer, if anybody did.
    let told = if ticket.ca.is_empty() { under_way } else { ticket.ca != new };
    // One that failed asks anew what is so then, and one that expired lets nobody in.
    let over = matches!(ticket.progress, Progress::Failed { .. } | Progress::Denied | Progress::Joined);
    if over || !told || ticket.secret.is_none() {
        return None;
    }
    let installed = ticket.progress == Progress::Installed;
    let remedy = if installed { TOKEN } else { AGAIN };
    let progress = if installed { Progress::Installed } else { Progress::Denied };
    let mut value =
        TicketValue { secret: None, progress, remedy: remedy.to_owned(), updated_at: now, ..ticket.clone() };
    value.tell(now, What::Denied, remedy);
    Some(value)
}

/// What the audit log says of it; a long name is cut, so that the remedy is not. Pure.
fn words(ticket: &TicketValue) -> String {
    format!("join secret of {:.32} ({}) void: {}", ticket.hostname, ticket.mac, ticket.remedy)
}

/// Secrets of installations whose machines were told of another CA; whether none is left.
async fn tickets(app: &App, record: &Record, new: &str) -> Result<bool, ChangeError> {
    let mut all = true;
    for found in record.list::<TicketValue>(keys::TICKETS).await? {
        let Some(value) = plan_withdrawal(&found.value, new, now()) else { continue };
        let key = under(keys::TICKETS, &value.ticket);
        let mut change = Change::default().if_unchanged(&key, found.revision).put(&key, &value)?;
        if let Some(secret) = &found.value.secret {
            change = change.delete(&invites::key(secret));
        }
        // A report that came at this moment: the next look finds it.
        if !record.commit(change).await? {
            all = false;
            continue;
        }
        audited(app, words(&value));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_a_machine_that_was_told_of_the_old_ca_is_helped_on_and_its_secret_is_worth_nothing() {
        let installing = || Progress::Installing { step: "copy".into(), percent: 7 };
        let failed = || Progress::Failed { reason: "no disk".into() };
        let (old, new, none) = ("1", "2", "");
        // Name; the CA that its machine was told of; how far it is; what it is then, and how that is mended.
        type Row<'a> = (&'a str, &'a str, Progress, Option<(Progress, &'a str)>);
        let rows: [Row<'_>; 12] = [
            ("it has asked for nothing yet", none, Progress::Booting, None),
            ("it has its answer", old, Progress::Booting, Some((Progress::Denied, AGAIN))),
            ("its answer names the new one", new, Progress::Booting, None),
            ("it is being installed", old, installing(), Some((Progress::Denied, AGAIN))),
            ("with the new one", new, installing(), None),
            ("by a member of an earlier release", none, installing(), Some((Progress::Denied, AGAIN))),
            ("it is installed", old, Progress::Installed, Some((Progress::Installed, TOKEN))),
            ("so long ago", none, Progress::Installed, Some((Progress::Installed, TOKEN))),
            ("with the new one", new, Progress::Installed, None),
            ("it failed, and begins anew", old, failed(), None),
            ("it has joined", old, Progress::Joined, None),
            ("it was taken back", old, Progress::Denied, None),
        ];
        for (name, ca, progress, want) in rows {
            let secret = Some("s".to_owned());
            let ticket = TicketValue { ca: ca.to_owned(), progress, secret, ..TicketValue::default() };
            let got = plan_withdrawal(&ticket, new, 9);
            let plain = got.as_ref().map(|got| (got.progress.clone(), got.remedy.as_str()));
            assert_eq!(plain, want, "{name}");
            let Some(got) = got else { continue };
            assert!(got.secret.is_none() && got.updated_at == 9, "{name}");
            assert!(got.story.iter().any(|event| event.text == got.remedy), "{name}: it is told whole");
            assert_eq!(plan_withdrawal(&got, new, 10), None, "{name}: once");
            assert!(!got.lives(10), "{name}: its answer is given no more");
        }
    }

    #[test]
    fn join_an_event_of_the_audit_log_holds_the_whole_remedy() {
        for remedy in [TOKEN, AGAIN] {
            let ticket = TicketValue {
                hostname: "x".repeat(63),
                mac: "52:54:00:00:00:01".into(),
                remedy: remedy.into(),
                ..TicketValue::default()
            };
            let text = words(&ticket);
            assert!(text.chars().count() <= 200 && text.ends_with(remedy), "{}: {text}", text.len());
        }
    }
}

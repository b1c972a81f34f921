//! Join secrets: made, and used once.

use maekin_api::install::{Progress, What};
use maekin_api::join::{Invite, JoinRequest};
use maekin_image::manifest::sha256_hex;
use rcgen::PublicKeyData;

use super::admit::{Admission, Refusal, plan_admission};
use super::answer::Masters;
use super::identity::plan_place;
use super::{InstallError, TRIES};
use crate::pki::ca::{Ca, key_of_request};
use crate::pki::random_hex;
use crate::record::keys::{self, under};
use crate::record::values::{
    InviteValue, NodeValue, ReplacedValue, RolesValue, SettingsValue, TicketValue, UsedBy,
};
use crate::record::{Change, Record, RecordError};
use crate::trust::removal::{Named, volumes_of};
use crate::trust::revoke::{revoke, those_of};

/// Where the record has a secret: under its digest, so that reading the record gives nobody a way in.
pub(crate) fn key(secret: &str) -> String {
    under(keys::INVITES, &sha256_hex(secret.as_bytes()))
}

/// Makes a secret that admits one node within `minutes`.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn create(
    record: &Record,
    minutes: u32,
    masters: Masters,
    now: u64,
) -> Result<Invite, InstallError> {
    if !(1..=1440).contains(&minutes) {
        return Err(InstallError::Invalid(format!("minutes: {minutes} is not within 1 to 1440")));
    }
    let secret = random_hex::<16>()?;
    let expires = now + u64::from(minutes) * 60;
    let value = InviteValue { expires, ticket: None, used: None, ca: masters.ca_sha256.clone() };
    let key = key(&secret);
    record.commit(Change::default().if_unchanged(&key, 0).put(&key, &value)?).await?;
    Ok(Invite { masters: masters.urls, ca_sha256: masters.ca_sha256, secret, expires })
}

/// A node that was let in.
pub(crate) struct Admitted {
    /// Its key, to be certified.
    pub(crate) key: rcgen::PublicKey,
    /// Whose place it took, in words: what that one had is revoked.
    pub(crate) replaced: Option<String>,
}

impl Admitted {
    /// The same node asks again.
    pub(crate) fn again(key: rcgen::PublicKey) -> Self {
        Self { key, replaced: None }
    }
}

/// Lets the bearer of a secret in, once; the same node may ask again.
///
/// # Errors
/// [`InstallError::Refused`] and others.
pub(crate) async fn admit(
    record: &Record,
    ca: &Ca,
    request: &JoinRequest,
    now: u64,
) -> Result<Admitted, InstallError> {
    let (key_info, bearer) = bearer(request)?;
    let invite_key = key(&request.secret);
    for _ in 0..TRIES {
        let invite = record.get::<InviteValue>(&invite_key).await?;
        let member = record.get::<NodeValue>(&under(keys::NODES, &request.node_id)).await?;
        let plan = plan_admission(
            invite.as_ref().map(|i| &i.value),
            member.as_ref().map(|m| &m.value),
            &bearer,
            now,
        );
        let used = match plan.map_err(InstallError::Refused)? {
            Admission::Again => return Ok(Admitted::again(key_info)),
            Admission::First(used) => used,
        };
        let Some(invite) = invite else { return Err(InstallError::Refused(Refusal::Unknown)) };
        let ticket_name = invite.value.ticket.clone();
        let mut replaces = None;
        let mut change = Change::default()
            .if_unchanged(&invite_key, invite.revision)
            .put(&invite_key, &InviteValue { used: Some(used), ..invite.value })?;
        if let Some(name) = &ticket_name {
            let ticket_key = under(keys::TICKETS, name);
            let ticket = record.get::<TicketValue>(&ticket_key).await?;
            let ticket = ticket.ok_or(InstallError::Refused(Refusal::Unknown))?;
            replaces = ticket.value.replaces.clone();
            let mut joined =
                TicketValue { progress: Progress::Joined, secret: None, updated_at: now, ..ticket.value };
            joined.tell(now, What::Joined, &request.name);
            if !joined.roles.is_empty() {
                let roles = RolesValue { roles: joined.roles.clone() };
                change = change.put(&under(keys::ROLES, &request.node_id), &roles)?;
            }
            change = change.if_unchanged(&ticket_key, ticket.revision).put(&ticket_key, &joined)?;
        }
        let (change, replaced) = take_place(record, ca, request, replaces.as_deref(), change, now).await?;
        if record.commit(change).await? {
            return Ok(Admitted { key: key_info, replaced });
        }
    }
    Err(InstallError::Contended)
}

/// Adds to `change` that the node takes the place of the member that its machine was, where there is one, and that what
/// that one had holds no longer: else its drives, wherever they are, would be a member's until its certificates run out.
pub(crate) async fn take_place(
    record: &Record,
    ca: &Ca,
    request: &JoinRequest,
    ticket_of: Option<&str>,
    change: Change,
    now: u64,
) -> Result<(Change, Option<String>), InstallError> {
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    let alive = record.names(keys::ALIVE).await?.into_iter().collect();
    let members: Vec<_> = nodes.iter().map(|n| n.value.clone()).collect();
    let place = plan_place(request, ticket_of, &members, &alive).map_err(InstallError::Refused)?;
    let Some(old) = place.and_then(|id| nodes.into_iter().find(|n| n.value.id == id)) else {
        return Ok((change, None));
    };
    let (id, name) = (&old.value.id, &old.value.name);
    tracing::warn!(name, old = id, new = request.node_id, "a new installation takes the place of a member");
    let (certs, change) = those_of(record, id, change).await?;
    let change = revoke::<InstallError>(record, ca, &certs, true, now, change).await?;
    let count = certs.len();
    let volumes = volumes_of(record, id).await?;
    let lost = match volumes.is_empty() {
        true => String::new(),
        false => format!("; lost with it: {}", Named::of(&volumes)),
    };
    let words = format!(
        "member {id} ({name}) was installed anew as {}; its certificates ({count}) hold no longer{lost}",
        request.node_id
    );
    let replaced = ReplacedValue { name: name.clone(), by: request.node_id.clone(), at: now, certs };
    let key = under(keys::NODES, id);
    // How the member shall be does not end with its drives. Settings of a newer release stay behind.
    let settings = under(keys::NODE_SETTINGS, id);
    let change = match record.get::<SettingsValue>(&settings).await {
        Ok(Some(found)) => change.put(&under(keys::NODE_SETTINGS, &request.node_id), &found.value)?,
        Ok(None) => change,
        Err(RecordError::Unreachable { voters, why }) => {
            return Err(RecordError::Unreachable { voters, why }.into());
        }
        Err(e) => {
            tracing::warn!(name, error = %crate::errors::chain(&e), "settings of a member are lost");
            change
        }
    };
    let change = change.delete(&settings).delete(&under(keys::NODE_STATUS, id));
    // The drives that it keeps it tells anew, under its new id.
    let change = change.delete(&under(keys::DRIVES, id)).delete(&under(keys::STORAGE, id));
    // A member that is alive again in this very moment keeps its place.
    let change = change.if_unchanged(&key, old.revision).if_unchanged(&under(keys::ALIVE, id), 0);
    let change = change.delete(&key).delete(&under(keys::AGAIN, id));
    Ok((change.put(&under(keys::REPLACED, id), &replaced)?, Some(words)))
}

/// The key of a request, and whom it would make a member, after checking what can be checked without the record. Pure.
///
/// # Errors
/// [`InstallError::Invalid`], or that the key cannot be read.
pub(crate) fn bearer(request: &JoinRequest) -> Result<(rcgen::PublicKey, UsedBy), InstallError> {
    if uuid::Uuid::parse_str(&request.node_id).map(|id| id.to_string()).as_ref() != Ok(&request.node_id) {
        return Err(InstallError::Invalid("node_id: must be a UUID in lower case".to_owned()));
    }
    if !maekin_rootfs::validate::is_label(&request.name) {
        return Err(InstallError::Invalid("name: must be a host name".to_owned()));
    }
    let key_info = key_of_request(&request.csr)?;
    let bearer = UsedBy {
        node_id: request.node_id.clone(),
        key_sha256: sha256_hex(&key_info.subject_public_key_info()),
    };
    Ok((key_info, bearer))
}

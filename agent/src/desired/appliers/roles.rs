//! Roles. Whoever changes the settings writes them where voters are planned from, in the same transaction; this mends
//! what came after, as the ticket of a machine that was installed anew.

use std::sync::Arc;

use maekin_api::settings::condition;

use super::of_record;
use crate::app::{App, Member};
use crate::desired::applier::{Applier, Outcome, WORKING, Wanted, Work};
use crate::record::keys::{self, under};
use crate::record::values::RolesValue;
use crate::record::{Change, RecordError};

pub(super) struct Roles {
    pub(super) app: Arc<App>,
    pub(super) member: Arc<Member>,
}

impl Roles {
    async fn settle(&self, roles: &[String]) -> Result<Outcome, RecordError> {
        let key = under(keys::ROLES, &self.app.node_id);
        let found = self.member.record.get::<RolesValue>(&key).await?;
        if found.as_ref().is_some_and(|found| found.value.roles == roles) {
            return Ok(Outcome::is(true));
        }
        let change = Change::default().if_unchanged(&key, found.map_or(0, |found| found.revision));
        let change = change.put(&key, &RolesValue { roles: roles.to_vec() })?;
        if self.member.record.commit(change).await? {
            return Ok(Outcome::is(true));
        }
        let again = std::time::Duration::from_secs(1);
        Ok(Outcome::working(WORKING, "they were changed meanwhile", again))
    }
}

impl Applier for Roles {
    fn condition(&self) -> &'static str {
        condition::ROLES
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        Box::pin(async move {
            let Some(roles) = &wanted.spec.roles else { return Outcome::is(false) };
            self.settle(roles).await.unwrap_or_else(|e| of_record(&e))
        })
    }
}

//! Maintenance. Whoever changes the settings writes it where the others see it, in the same transaction; what is left to
//! the node itself is to give up what another one can do.

use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::condition;

use crate::app::App;
use crate::desired::applier::{Applier, Outcome, Wanted, Work};

/// It leads still.
const LEADS: &str = "Leads";
/// Nobody else can lead.
const ALONE: &str = "NoOtherNode";
/// How soon it is looked again.
const AGAIN: Duration = Duration::from_secs(3);

pub(super) struct Maintenance {
    pub(super) app: Arc<App>,
}

/// Pure.
fn judge(wanted: bool, leads: bool, yields: bool) -> Outcome {
    match (wanted, leads, yields) {
        (false, ..) => Outcome::is(false),
        (true, false, _) => Outcome::is(true),
        (true, true, true) => Outcome::working(LEADS, "it gives up leading", AGAIN),
        (true, true, false) => Outcome::holds(ALONE, "it leads still: no other node can").again(AGAIN * 20),
    }
}

impl Applier for Maintenance {
    fn condition(&self) -> &'static str {
        condition::MAINTENANCE
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        Box::pin(async move {
            let (leads, yields) = (self.app.leads(), self.app.maintenance.yields());
            judge(wanted.spec.maintenance.is_some(), leads, yields)
        })
    }
}

#[cfg(test)]
mod tests {
    use maekin_api::settings::ConditionStatus::{True, Unknown};

    use super::*;

    #[test]
    fn record_a_node_in_maintenance_says_whether_it_leads_still() {
        let rows = [
            ("not wanted", (false, true, false), True, "AsInstalled"),
            ("another leads", (true, false, true), True, "Applied"),
            ("it leads for a moment more", (true, true, true), Unknown, LEADS),
            ("nobody else can", (true, true, false), True, ALONE),
        ];
        for (name, (wanted, leads, yields), status, reason) in rows {
            let outcome = judge(wanted, leads, yields);
            assert_eq!((outcome.status, outcome.reason), (status, reason), "{name}");
        }
    }
}

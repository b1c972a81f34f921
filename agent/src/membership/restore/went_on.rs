//! Whether the record went on without us. A voter that was alone in its record is a quorum by itself, whatever happened
//! elsewhere while it was off: so before it serves, and every minute while it does, its node asks the other members' APIs
//! how often the record was put back. Whoever has the greater number is right.

use std::sync::Arc;
use std::time::Duration;

use maekin_api::RECORD;
use maekin_api::record::Record as Told;
use tokio::task::JoinSet;

use super::super::{MembershipError, MembershipFile, etcd};
use crate::app::App;
use crate::http::client::{ClientError, Target};
use crate::node_info::own_address;
use crate::pki::identity::Credentials;
use crate::tls;
use crate::trust::ca_change::back::{self, Back};

/// How long all of them have: a node whose neighbours are off starts no later than that.
const LIMIT: Duration = Duration::from_secs(3);
/// Most members that are asked.
const MOST: usize = 8;

/// Where the record is, by what one member told, where that is a later one than ours and elsewhere. Pure.
fn plan_later(told: &Told, own: u64, own_url: &str) -> Option<(u64, String)> {
    let restored = told.restored.as_ref().filter(|_| told.quorum)?;
    (restored.count > own && restored.url.starts_with("https://") && restored.url != own_url)
        .then(|| (restored.count, restored.url.clone()))
}

/// Where the record is that went on without ours, which was put back so many times; `None` where nobody knows of one.
///
/// # Errors
/// [`MembershipError`] when our own files are unusable; [`MembershipError::Anew`] where the cluster has another CA meanwhile.
pub(crate) async fn ask(app: &App, own: u64) -> Result<Option<String>, MembershipError> {
    let members = MembershipFile::members(&app.settings.membership());
    let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)?;
    let Some(credentials) = credentials.filter(|_| !members.is_empty()) else { return Ok(None) };
    let config = Arc::new(tls::to_members(&app.key, &credentials)?);
    let links = maekin_host::links::probe_links().unwrap_or_default();
    let own_url = own_address(&app.network.in_force(), &links).map(|own| etcd::client_url(app, &own));
    let own_url = own_url.unwrap_or_default();
    let mut asking = JoinSet::new();
    for url in members.into_iter().take(MOST) {
        let address = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let target = Target::Tls(address, Arc::clone(&config));
        asking.spawn(async move { (url, target.get::<Told>(RECORD).await) });
    }
    let (mut later, mut strange) = (None, Vec::new());
    let all = async {
        while let Some(told) = asking.join_next().await {
            let told = match told {
                Ok((_, Ok(told))) => Some(told),
                Ok((url, Err(e))) => {
                    if e.is_untrusted() || matches!(e, ClientError::Problem(_)) {
                        strange.push(url);
                    }
                    None
                }
                Err(_) => None,
            };
            later = later.take().max(told.and_then(|told| plan_later(&told, own, &own_url)));
        }
    };
    // Whoever has not answered by then is not there.
    let _ = tokio::time::timeout(LIMIT, all).await;
    // Somebody is there whom we do not believe, or who does not believe us: perhaps we are the one that is behind. They have
    // just answered, so that needs no limit; it is not to be left in the middle.
    if later.is_none() && !strange.is_empty() && matches!(back::ask_these(app, &strange).await, Back::Renewed)
    {
        return Err(MembershipError::Anew);
    }
    Ok(later.map(|(_, url)| url))
}

#[cfg(test)]
mod tests {
    use maekin_api::record::Restored;

    use super::*;

    #[test]
    fn record_a_later_one_is_one_that_was_put_back_more_often() {
        let told = |quorum, count, url: &str| Told {
            quorum,
            restored: (count > 0).then(|| Restored { count, url: url.to_owned(), ..Restored::default() }),
            ..Told::default()
        };
        let at = "https://10.77.0.2:2379";
        let rows = [
            ("never put back", told(true, 0, at), 0, None),
            ("once, and ours never", told(true, 1, at), 0, Some((1, at.to_owned()))),
            ("ours too", told(true, 1, at), 1, None),
            ("ours later", told(true, 1, at), 2, None),
            ("it is lost itself", told(false, 1, at), 0, None),
            ("by a release that does not say where", told(true, 1, ""), 0, None),
            ("it is ours, of which we have not heard", told(true, 1, "https://10.77.0.1:2379"), 0, None),
        ];
        for (name, told, own, want) in rows {
            assert_eq!(plan_later(&told, own, "https://10.77.0.1:2379"), want, "{name}");
        }
    }
}

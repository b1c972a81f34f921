//! A voter whose node has another address than before: the other voters are told where it is reached now, before its
//! own entry in the record says so. One that nobody could be found for would be taken out.
//!
//! One that only copies the record is taken out, and gets a place anew from the member that leads: etcd forgets of a learner
//! that is moved that it has no vote (etcd issue 21694, mended in releases of May 2026 only), and would list it as a voter from then
//! on that never votes and cannot be promoted.

use super::MembershipError;
use super::etcd::{self, VoterFile};
use crate::app::App;
use crate::node_info::Own;
use crate::record::Record;
use crate::record::voters::Voter;

/// Which of the voters is ours and is known elsewhere than at `peer_url`. Pure.
fn plan_move<'a>(
    file: Option<&VoterFile>,
    data: bool,
    own: (&str, &str),
    voters: &'a [Voter],
) -> Option<&'a Voter> {
    let (node_id, peer_url) = own;
    if voters.iter().any(|voter| voter.peer_url == peer_url) {
        return None;
    }
    let known = |voter: &&Voter| {
        file.is_some_and(|file| file.id == format!("{:016x}", voter.id)) || (data && voter.name == node_id)
    };
    voters.iter().find(known)
}

/// Tells the others, where that is needed; the voters as they are then.
///
/// # Errors
/// [`MembershipError`].
pub(super) async fn announce(
    app: &App,
    record: &Record,
    own: &Own,
    voters: Vec<Voter>,
) -> Result<Vec<Voter>, MembershipError> {
    let file = VoterFile::load(app)?;
    let peer_url = etcd::peer_url(app, own);
    let Some(mine) = plan_move(file.as_ref(), etcd::has_data(app), (&app.node_id, &peer_url), &voters) else {
        return Ok(voters);
    };
    tracing::warn!(
        from = mine.peer_url,
        to = peer_url,
        "this node's voter of the record is reached elsewhere now"
    );
    if mine.learner {
        record.remove_voter(mine.id).await?;
    } else {
        record.move_voter(mine.id, &peer_url).await?;
    }
    Ok(record.members().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_a_voter_whose_node_has_another_address_is_told_of_once() {
        let voter = |id: u64, name: &str, url: &str| Voter {
            id,
            peer_url: url.to_owned(),
            name: name.to_owned(),
            learner: false,
        };
        let others = [voter(2, "b", "https://10.0.0.2:2380"), voter(3, "c", "https://10.0.0.3:2380")];
        let file: VoterFile = serde_json::from_str(r#"{"id":"0000000000000001","initial":""}"#).unwrap();
        let (old, new) = ("https://10.0.0.1:2380", "https://10.0.0.9:2380");
        // Name; our voter, file, data, whether it is moved.
        let rows = [
            ("where it was", Some(voter(1, "a", new)), true, true, false),
            ("elsewhere", Some(voter(1, "a", old)), true, true, true),
            ("elsewhere, and its id was lost", Some(voter(1, "a", old)), false, true, true),
            ("added, not started yet", Some(voter(1, "", old)), true, false, true),
            ("somebody else's, no data of ours", Some(voter(1, "a", old)), false, false, false),
            ("none", None, true, true, false),
        ];
        for (name, mine, has_file, data, want) in rows {
            let voters: Vec<Voter> = mine.into_iter().chain(others.clone()).collect();
            let got = plan_move(has_file.then_some(&file), data, ("a", new), &voters);
            assert_eq!(got.is_some(), want, "{name}");
            assert!(got.is_none_or(|voter| voter.id == 1), "{name}");
        }
        let taken = [voter(1, "a", old), voter(2, "b", new)];
        assert_eq!(plan_move(Some(&file), true, ("a", new), &taken), None, "another voter is there");
    }
}

//! May the bearer of this join secret become a member. Pure.

use crate::record::values::{InviteValue, NodeValue, UsedBy};

/// Why a node is not let in. Says no more to a stranger than that the secret is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The secret was never given out.
    #[error(
        "the join secret is not one of this cluster's; make a new one with `maekin-agent invite` on a member"
    )]
    Unknown,
    /// Another key used it.
    #[error(
        "the join secret was used already, by another node; make a new one with `maekin-agent invite` on a member"
    )]
    Used,
    /// Its time is over.
    #[error("the join secret has expired; make a new one with `maekin-agent invite` on a member")]
    Expired,
    /// The token was never made, or was taken back.
    #[error(
        "the join token is not one of this cluster's, or was taken back; make a new one with `maekin-agent token create`"
    )]
    TokenUnknown,
    /// Others used it.
    #[error(
        "the join token was used by as many nodes as it is for; make a new one with `maekin-agent token create`"
    )]
    TokenUsed,
    /// Its time is over.
    #[error("the join token has expired; make a new one with `maekin-agent token create`")]
    TokenExpired,
    /// The request is not signed by the token's bearer for this cluster.
    #[error("the request does not prove that the node has the join token; give it the whole token again")]
    Proof,
    /// It was a member.
    #[error("this node was removed from the cluster; install it anew to let it in again")]
    Removed,
    /// The node id is another's.
    #[error("the node id belongs to a member with another key; reinstall this node to give it a new id")]
    Impostor,
    /// The name is another's.
    #[error(
        "the name belongs to a member that is alive, or to another machine; choose another name, or name the member \
         with `maekin-agent reinstall` while it is off"
    )]
    NameTaken,
}

/// What follows from a secret that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// First use: write down who used it.
    First(UsedBy),
    /// The same node asks again, having lost our answer: nothing is written.
    Again,
}

/// Decides. `invite` is what lies under the digest of the secret, `member` what lies under the node id.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn plan_admission(
    invite: Option<&InviteValue>,
    member: Option<&NodeValue>,
    bearer: &UsedBy,
    now: u64,
) -> Result<Admission, Refusal> {
    let invite = invite.ok_or(Refusal::Unknown)?;
    if let Some(used) = &invite.used {
        return if used == bearer { Ok(Admission::Again) } else { Err(Refusal::Used) };
    }
    if now >= invite.expires {
        return Err(Refusal::Expired);
    }
    if member.is_some_and(|member| member.key_sha256 != bearer.key_sha256) {
        return Err(Refusal::Impostor);
    }
    Ok(Admission::First(bearer.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(node_id: &str, key: &str) -> UsedBy {
        UsedBy { node_id: node_id.into(), key_sha256: key.into() }
    }

    fn member(key: &str) -> NodeValue {
        NodeValue {
            id: "n".into(),
            name: "node-2".into(),
            address: "10.77.0.2".into(),
            key_sha256: key.into(),
            ..NodeValue::default()
        }
    }

    #[test]
    fn secrets_admit_one_key_within_their_time() {
        let fresh = InviteValue { expires: 100, ticket: None, used: None, ca: String::new() };
        let used = InviteValue { used: Some(by("n", "k")), ..fresh.clone() };
        let first = Ok(Admission::First(by("n", "k")));
        type Row<'a> =
            (&'a str, Option<&'a InviteValue>, Option<NodeValue>, UsedBy, u64, Result<Admission, Refusal>);
        let rows: [Row<'_>; 10] = [
            ("unknown secret", None, None, by("n", "k"), 50, Err(Refusal::Unknown)),
            ("first use", Some(&fresh), None, by("n", "k"), 50, first.clone()),
            ("last second", Some(&fresh), None, by("n", "k"), 99, first.clone()),
            ("expired to the second", Some(&fresh), None, by("n", "k"), 100, Err(Refusal::Expired)),
            ("same node asks again", Some(&used), None, by("n", "k"), 50, Ok(Admission::Again)),
            ("same node asks again, late", Some(&used), None, by("n", "k"), 500, Ok(Admission::Again)),
            ("second use with another key", Some(&used), None, by("n", "other"), 50, Err(Refusal::Used)),
            ("same key under another id", Some(&used), None, by("m", "k"), 50, Err(Refusal::Used)),
            (
                "id of a member with another key",
                Some(&fresh),
                Some(member("x")),
                by("n", "k"),
                50,
                Err(Refusal::Impostor),
            ),
            ("a member with its own key", Some(&fresh), Some(member("k")), by("n", "k"), 50, first),
        ];
        for (name, invite, member, bearer, now, want) in rows {
            assert_eq!(plan_admission(invite, member.as_ref(), &bearer, now), want, "{name}");
        }
    }
}

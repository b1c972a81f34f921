//! May the bearer of this join token become a member. Pure.

use crate::install::admit::{Admission, Refusal};
use crate::record::values::{NodeValue, UsedBy};
use crate::trust::values::TokenValue;

/// Decides. `token` is what lies under the name that the bearer gave, `shown` the digest of the key that signed his
/// request, `member` what lies under his node id.
///
/// # Errors
/// [`Refusal`].
pub(super) fn plan_use(
    token: Option<&TokenValue>,
    shown: &str,
    member: Option<&NodeValue>,
    bearer: &UsedBy,
    now: u64,
) -> Result<Admission, Refusal> {
    let token = token.ok_or(Refusal::TokenUnknown)?;
    if token.proof_sha256 != shown {
        return Err(Refusal::Proof);
    }
    if token.used.iter().any(|used| used.by == *bearer) {
        return Ok(Admission::Again);
    }
    if token.used.len() >= token.uses as usize {
        return Err(Refusal::TokenUsed);
    }
    if now >= token.expires {
        return Err(Refusal::TokenExpired);
    }
    if member.is_some_and(|member| member.key_sha256 != bearer.key_sha256) {
        return Err(Refusal::Impostor);
    }
    Ok(Admission::First(bearer.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::values::UseValue;

    fn by(node_id: &str, key: &str) -> UsedBy {
        UsedBy { node_id: node_id.into(), key_sha256: key.into() }
    }

    fn token(uses: u32, used: &[UsedBy]) -> TokenValue {
        let used = used.iter().map(|by| UseValue { by: by.clone(), name: "n".into(), at: 1 }).collect();
        TokenValue { proof_sha256: "p".into(), expires: 100, uses, used, ..TokenValue::default() }
    }

    #[test]
    fn join_a_token_lets_in_as_many_as_it_says_within_its_time() {
        let first = || Ok(Admission::First(by("n", "k")));
        let again = || Ok(Admission::Again);
        let member = |key: &str| NodeValue { key_sha256: key.into(), ..NodeValue::default() };
        type Row<'a> =
            (&'a str, Option<TokenValue>, &'a str, Option<NodeValue>, u64, Result<Admission, Refusal>);
        let two = [by("a", "1"), by("b", "2")];
        let rows: [Row<'_>; 12] = [
            ("unknown", None, "p", None, 50, Err(Refusal::TokenUnknown)),
            ("its secret is not known", Some(token(1, &[])), "x", None, 50, Err(Refusal::Proof)),
            ("first use", Some(token(1, &[])), "p", None, 50, first()),
            ("last second", Some(token(1, &[])), "p", None, 99, first()),
            ("expired to the second", Some(token(1, &[])), "p", None, 100, Err(Refusal::TokenExpired)),
            ("used by another", Some(token(1, &two[..1])), "p", None, 50, Err(Refusal::TokenUsed)),
            ("the last of three uses", Some(token(3, &two)), "p", None, 50, first()),
            ("used up", Some(token(2, &two)), "p", None, 50, Err(Refusal::TokenUsed)),
            ("its own use, repeated", Some(token(1, &[by("n", "k")])), "p", None, 50, again()),
            ("and late", Some(token(1, &[by("n", "k")])), "p", None, 500, again()),
            ("its id, another key", Some(token(1, &[by("n", "z")])), "p", None, 50, Err(Refusal::TokenUsed)),
            ("a member's id", Some(token(1, &[])), "p", Some(member("z")), 50, Err(Refusal::Impostor)),
        ];
        for (name, token, shown, member, now, want) in rows {
            assert_eq!(plan_use(token.as_ref(), shown, member.as_ref(), &by("n", "k"), now), want, "{name}");
        }
    }
}

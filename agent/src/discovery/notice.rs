//! What a node says of itself by multicast DNS, as the texts of a TXT record (RFC 6763 section 6). Pure. Nothing in it is
//! secret, and nothing in it is believed: it is shown to a person, who compares a code before anything follows from it.

use maekin_api::discovery::DiscoveredState;
use maekin_rootfs::validate::{is_hex, is_label};

/// Version of these texts.
const VERSION: &str = "1";
/// Digits of a node's id that are told.
pub(super) const ID: usize = 12;
/// Digits of a cluster's CA that are told.
pub(super) const CA: usize = 16;
/// Longest text of a release, bytes.
const RELEASE: usize = 32;
/// Most texts of a record that are looked at.
const TEXTS: usize = 32;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Notice {
    /// The first digits of its id.
    pub(crate) id: String,
    /// Host name.
    pub(crate) name: String,
    /// Whether it waits.
    pub(crate) state: DiscoveredState,
    /// Its release.
    pub(crate) release: String,
    /// Of a member, its cluster's name; else empty.
    pub(crate) cluster: String,
    /// Of a member, the first digits of its cluster's CA; else empty.
    pub(crate) ca: String,
}

/// The first digits of an id, or of a digest.
pub(super) fn digits(text: &str, count: usize) -> String {
    text.chars().filter(|c| *c != '-').take(count).collect()
}

impl Notice {
    /// The texts.
    pub(super) fn texts(&self) -> Vec<String> {
        let state = match self.state {
            DiscoveredState::Waiting => "waiting",
            DiscoveredState::Member => "member",
        };
        let mut texts = vec![
            format!("txtvers={VERSION}"),
            format!("id={}", self.id),
            format!("name={}", self.name),
            format!("state={state}"),
            format!("release={}", self.release),
        ];
        if self.state == DiscoveredState::Member {
            texts.push(format!("cluster={}", self.cluster));
            texts.push(format!("ca={}", self.ca));
        }
        texts
    }

    /// Reads such texts; `None` where they are not those of a node, or hold what none would say.
    pub(super) fn parse(texts: &[impl AsRef<[u8]>]) -> Option<Self> {
        let texts: Vec<&str> =
            texts.iter().take(TEXTS).filter_map(|text| std::str::from_utf8(text.as_ref()).ok()).collect();
        let value = |key: &str| {
            // Of a key that comes twice the first one counts, whatever its letters' case (RFC 6763 section 6.4).
            let mut pairs = texts.iter().filter_map(|text| text.split_once('='));
            pairs.find(|(name, _)| name.eq_ignore_ascii_case(key)).map_or("", |(_, value)| value)
        };
        let state = match value("state") {
            "waiting" => DiscoveredState::Waiting,
            "member" => DiscoveredState::Member,
            _ => return None,
        };
        let member = state == DiscoveredState::Member;
        let of_member = |key: &str| if member { value(key).to_owned() } else { String::new() };
        let notice = Self {
            id: value("id").to_owned(),
            name: value("name").to_owned(),
            state,
            release: value("release").to_owned(),
            cluster: of_member("cluster"),
            ca: of_member("ca"),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".+~-".contains(&b);
        let release = (1..=RELEASE).contains(&notice.release.len()) && notice.release.bytes().all(plain);
        let cluster = !member || (is_label(&notice.cluster) && is_hex(&notice.ca, CA));
        let whole = value("txtvers") == VERSION && is_hex(&notice.id, ID) && is_label(&notice.name);
        (whole && release && cluster).then_some(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_what_a_node_says_of_itself_is_read_or_not() {
        let texts = |more: &[&str]| {
            let mut texts: Vec<String> =
                ["txtvers=1", "id=0123456789ab", "name=node-9", "state=waiting", "release=0.1.0"]
                    .map(str::to_owned)
                    .into();
            texts.retain(|text| {
                let key = text.split('=').next();
                !more.iter().any(|more| more.split('=').next() == key)
            });
            texts.extend(more.iter().map(|text| (*text).to_owned()));
            texts
        };
        let member = ["state=member", "cluster=rack", "ca=0123456789abcdef"];
        let rows: [(&str, Vec<String>, bool); 15] = [
            ("a node that waits", texts(&[]), true),
            ("with what is not known yet", texts(&["more=1", "flag"]), true),
            ("a key in capitals", texts(&["NAME=other"]), true),
            ("a member", texts(&member), true),
            ("a member without a cluster", texts(&["state=member"]), false),
            (
                "a member of a cluster with a strange name",
                texts(&["state=member", "cluster=a b", member[2]]),
                false,
            ),
            ("another version", texts(&["txtvers=2"]), false),
            ("an id that is too short", texts(&["id=0123"]), false),
            ("an id that is none", texts(&["id=0123456789aX"]), false),
            ("no name", texts(&["name="]), false),
            ("a name with escapes", texts(&["name=\u{1b}[2Jx"]), false),
            ("another state", texts(&["state=leader"]), false),
            ("a release with spaces", texts(&["release=0 1"]), false),
            ("a long release", texts(&[&format!("release={}", "1".repeat(33))]), false),
            ("nothing", Vec::new(), false),
        ];
        for (name, texts, want) in rows {
            let read = Notice::parse(&texts);
            assert_eq!(read.is_some(), want, "{name}: {read:?}");
            if let Some(read) = read {
                assert_eq!(Notice::parse(&read.texts()), Some(read.clone()), "{name}: there and back");
            }
        }
    }
}

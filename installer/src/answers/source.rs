//! Where answers come from. Several sources may speak; the first in the order of [`Kind`] is used, and the log says
//! which were passed over. One that speaks and cannot be read stops the installation: falling back to another one
//! would install something that nobody asked for.
//!
//! | module | job |
//! | --- | --- |
//! | [`url`] | an address to fetch from, with what its content or its server is known by; the fetch |
//! | [`pin`] | TLS to a server that is known by its certificate |
//! | [`oem`] | what SMBIOS OEM strings say; pure |
//! | [`listen`] | asking all of them |

pub mod listen;
pub mod oem;
pub mod pin;
pub mod url;

use url::AnswerUrl;

/// A kind of source. Earlier ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A person at the console, asked for with `maekin.ask` on the kernel command line.
    Console,
    /// `maekin.answer=` on the kernel command line.
    CommandLine,
    /// The install master, for a ticket.
    Ticket,
    /// A partition or stick labelled `MAEKIN`.
    Partition,
    /// The install medium itself.
    Medium,
    /// SMBIOS OEM strings.
    Oem,
    /// QEMU's fw_cfg.
    FwCfg,
}

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Ask the person.
    Ask,
    /// The answer file.
    Text(String),
    /// Where it is to be fetched.
    Url(AnswerUrl),
    /// The install master has it.
    Ticket,
    /// It speaks, but cannot be understood.
    Broken(String),
}

/// A source that speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What kind of source.
    pub kind: Kind,
    /// Which one, in words.
    pub place: String,
    /// What it says.
    pub content: Content,
}

/// Two sources of the same kind contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are different answers on {0} and on {1}; remove one of the two")]
pub struct Contradiction(String, String);

/// The source to be used, and lines for the log about it and those passed over.
///
/// # Errors
/// [`Contradiction`].
pub fn choose(mut offers: Vec<Offer>) -> Result<(Option<Offer>, Vec<String>), Contradiction> {
    offers.sort_by_key(|offer| offer.kind); // stable: within a kind as they were found
    let mut offers = offers.into_iter();
    let Some(first) = offers.next() else { return Ok((None, Vec::new())) };
    let mut notes = vec![format!("answers: from {}", first.place)];
    for other in offers {
        if other.kind == first.kind && other.content != first.content {
            return Err(Contradiction(first.place, other.place));
        }
        notes.push(format!("answers: passed over {}", other.place));
    }
    Ok((Some(first), notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(kind: Kind, place: &str) -> Offer {
        Offer { kind, place: place.to_owned(), content: Content::Text(place.to_owned()) }
    }

    #[test]
    fn the_highest_source_is_used_and_the_others_are_named() {
        use Kind::{CommandLine, Console, FwCfg, Medium, Oem, Partition, Ticket};
        let order = [Console, CommandLine, Ticket, Partition, Medium, Oem, FwCfg];
        for (i, kind) in order.into_iter().enumerate() {
            let mut offers: Vec<Offer> = order[i..].iter().map(|k| offer(*k, &format!("{k:?}"))).collect();
            offers.reverse();
            let (used, notes) = choose(offers).unwrap();
            assert_eq!(used.map(|o| o.kind), Some(kind));
            assert_eq!(notes[0], format!("answers: from {kind:?}"));
            let passed: Vec<String> =
                order[i + 1..].iter().map(|k| format!("answers: passed over {k:?}")).collect();
            assert_eq!(notes[1..], passed, "{kind:?}");
        }
        assert_eq!(choose(Vec::new()).unwrap(), (None, Vec::new()));
    }

    #[test]
    fn two_that_say_the_same_agree_and_two_that_differ_are_refused() {
        let same =
            |place: &str| Offer { content: Content::Text("x".into()), ..offer(Kind::Partition, place) };
        let (used, notes) = choose(vec![same("sdb1"), same("sdc1")]).unwrap();
        assert_eq!((used.unwrap().place.as_str(), notes.len()), ("sdb1", 2));
        let text = choose(vec![offer(Kind::Partition, "sdb1"), offer(Kind::Partition, "sdc1")]).unwrap_err();
        assert!(text.to_string().contains("sdb1 and on sdc1; remove one"), "{text}");
        // Whether lower ones contradict each other does not matter.
        let lower = vec![offer(Kind::Oem, "a"), offer(Kind::FwCfg, "b"), offer(Kind::FwCfg, "c")];
        assert!(choose(lower).is_ok());
    }

    #[test]
    fn a_source_that_cannot_be_understood_is_not_passed_over_for_a_lower_one() {
        let broken = Offer { content: Content::Broken("rubbish".into()), ..offer(Kind::Oem, "a") };
        let (used, _) = choose(vec![offer(Kind::FwCfg, "b"), broken.clone()]).unwrap();
        assert_eq!(used, Some(broken));
    }
}

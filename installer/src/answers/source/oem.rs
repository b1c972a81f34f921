//! Answers in SMBIOS OEM strings (type 11), which hypervisors and some management controllers can set:
//! `maekin.answer=base64:...`, in several strings where one is too short for it; or `maekin.answer-url=...` with
//! `maekin.answer.sha256=` or `maekin.answer.pin=`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::url::AnswerUrl;
use super::{Content, Kind, Offer};
use crate::answers::LIMIT;

/// What the machine's OEM strings say about answers, if anything.
#[must_use]
pub fn offer(strings: &[String]) -> Option<Offer> {
    let values = |key: &str| -> Vec<&str> {
        strings.iter().filter_map(|s| s.trim().strip_prefix(key)?.strip_prefix('=')).collect()
    };
    let (text, url) = (values("maekin.answer"), values("maekin.answer-url"));
    let content = match (text.as_slice(), url.as_slice()) {
        ([], []) => return None,
        ([], [url]) => {
            let [sha256, pin] = ["maekin.answer.sha256", "maekin.answer.pin"].map(|key| values(key).pop());
            AnswerUrl::new(url, sha256, pin).map_or_else(Content::Broken, Content::Url)
        }
        (text, []) => decode(text).map_or_else(Content::Broken, Content::Text),
        _ => Content::Broken(
            "they have more than one answer: give maekin.answer or one maekin.answer-url".into(),
        ),
    };
    Some(Offer { kind: Kind::Oem, place: "the SMBIOS OEM strings".to_owned(), content })
}

fn decode(pieces: &[&str]) -> Result<String, String> {
    let mut base64 = String::new();
    for piece in pieces {
        let Some(rest) = piece.strip_prefix("base64:") else {
            return Err("maekin.answer= does not begin with base64:".to_owned());
        };
        base64 += rest.trim();
    }
    if base64.len() as u64 > LIMIT * 4 / 3 {
        return Err(format!("the answer file in them is longer than {LIMIT} bytes"));
    }
    let bytes = STANDARD.decode(&base64).map_err(|e| format!("maekin.answer= is no base64: {e}"))?;
    String::from_utf8(bytes).map_err(|_| "the answer file in them is no UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(strings: &[&str]) -> Option<Content> {
        offer(&strings.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).map(|o| o.content)
    }

    #[test]
    fn text_and_addresses_are_taken() {
        let text = Some(Content::Text("version = 1\n".to_owned()));
        assert_eq!(said(&["other", "maekin.answer=base64:dmVyc2lvbiA9IDEK"]), text);
        assert_eq!(said(&["maekin.answer=base64:dmVyc2l", "maekin.answer=base64:vbiA9IDEK"]), text);
        let digest = format!("maekin.answer.sha256={}", "ab".repeat(32));
        assert!(matches!(said(&["maekin.answer-url=http://a/b", &digest]), Some(Content::Url(_))));
        assert_eq!(said(&["Default string", "maekin.answers=base64:xx"]), None);
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        let rows: [(&[&str], &str); 5] = [
            (&["maekin.answer=version = 1"], "base64:"),
            (&["maekin.answer=base64:***"], "no base64"),
            (&["maekin.answer=base64:/w=="], "no UTF-8"),
            (&["maekin.answer-url=http://a/b"], "could be altered"),
            (&["maekin.answer-url=https://a", "maekin.answer=base64:eA=="], "more than one"),
        ];
        for (strings, want) in rows {
            let Some(Content::Broken(reason)) = said(strings) else { panic!("{strings:?}") };
            assert!(reason.contains(want), "{reason}");
        }
    }
}

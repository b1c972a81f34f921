//! The decision in words, and a person's word about it.

use std::fmt;

use super::Undecidable;

/// A moment as people write it.
#[must_use]
pub fn moment(seconds: u64) -> String {
    let at =
        i64::try_from(seconds).ok().filter(|at| *at > 0).and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or("an unknown time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

impl Undecidable {
    /// All that a person needs to know; `titles`: the drives in words.
    #[must_use]
    pub fn text(&self, titles: &[Option<String>; 2]) -> String {
        let mut text = "it cannot be decided which boot drive is right, and nothing was touched:".to_owned();
        for (array, reason) in &self.reasons {
            text += &format!("\n  the mirror {}: {reason}", array.name());
        }
        for (drive, (title, until)) in titles.iter().zip(&self.used_until).enumerate() {
            if let Some(until) = until {
                let title = title.as_deref().unwrap_or("which cannot be described");
                text += &format!("\n  drive {drive}, {title}: in use until {}", moment(*until));
            }
        }
        text + "\nEither take out the drive that shall not be kept and start again; or choose one: type \
               maekin-installer keep 0 (or 1, or a serial number) in the shell below. What was written to the other drive \
               alone is lost when it is brought up to date."
    }
}

impl fmt::Display for Undecidable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&[None, None]))
    }
}

impl std::error::Error for Undecidable {}

/// The drive that a person means by `word`: its place, or its serial number.
#[must_use]
pub fn keep(word: &str, serials: &[Option<String>; 2]) -> Option<u8> {
    match word {
        "0" => Some(0),
        "1" => Some(1),
        serial => {
            let same = |s: &Option<String>| s.as_deref() == Some(serial);
            match (same(&serials[0]), same(&serials[1])) {
                (true, false) => Some(0),
                (false, true) => Some(1),
                _ => None,
            }
        }
    }
}

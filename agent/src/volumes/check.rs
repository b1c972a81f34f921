//! Which names, sizes and limits can be used. Pure.

use maekin_api::volumes::{GRAIN, Limits};
use maekin_rootfs::validate::is_label;

use super::VolumeError;
use crate::install::terms::shown;

/// Smallest and largest volume, bytes: one grain, and a pebibyte.
const SMALLEST: u64 = GRAIN;
const LARGEST: u64 = 1 << 50;
/// Most that a limit can say.
const MOST: u64 = 1 << 50;
/// Longest word on what an attachment is for, characters.
const PURPOSE: usize = 100;

/// A name of a volume or a snapshot. It goes into keys of the record and into paths.
///
/// # Errors
/// [`VolumeError::Invalid`].
pub(crate) fn name<'a>(field: &str, text: &'a str) -> Result<&'a str, VolumeError> {
    if is_label(text) {
        return Ok(text);
    }
    let shown = shown(text);
    Err(VolumeError::Invalid(format!("{field}: `{shown}` is no label: 1 to 63 of a-z, 0-9 and -")))
}

/// A size, rounded up to what engines can make.
///
/// # Errors
/// [`VolumeError::Invalid`].
pub(crate) fn size(bytes: u64) -> Result<u64, VolumeError> {
    if bytes == 0 || bytes > LARGEST {
        return Err(VolumeError::Invalid(format!(
            "size: {bytes} bytes cannot be made; from 1 (which becomes {SMALLEST}) to {LARGEST}"
        )));
    }
    // At most 2^50, a multiple of the grain: this does not overflow.
    Ok(bytes.div_ceil(GRAIN) * GRAIN)
}

/// Limits in place of those `before`. As long as nothing holds a volume to them none are taken; they can be taken away.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn limits(limits: &Limits, before: &Limits) -> Result<(), VolumeError> {
    ranges(limits)?;
    let fields = |limits: &Limits| {
        [limits.read_iops, limits.write_iops, limits.read_bandwidth, limits.write_bandwidth]
    };
    let mut pairs = fields(limits).into_iter().zip(fields(before));
    if pairs.any(|(now, before)| now.is_some() && now != before) {
        return Err(VolumeError::NoLimits);
    }
    Ok(())
}

/// A limit of nothing would be a volume that does not answer.
fn ranges(limits: &Limits) -> Result<(), VolumeError> {
    let rows = [
        ("read_iops", limits.read_iops, 1),
        ("write_iops", limits.write_iops, 1),
        // A page a second.
        ("read_bandwidth", limits.read_bandwidth, 4096),
        ("write_bandwidth", limits.write_bandwidth, 4096),
    ];
    for (field, value, least) in rows {
        if let Some(value) = value
            && !(least..=MOST).contains(&value)
        {
            return Err(VolumeError::Invalid(format!(
                "limits.{field}: {value} is no limit; from {least} to {MOST}, or leave it out"
            )));
        }
    }
    Ok(())
}

/// What an attachment is for.
///
/// # Errors
/// [`VolumeError::Invalid`].
pub(crate) fn purpose(text: &str) -> Result<(), VolumeError> {
    if text.chars().count() > PURPOSE || text.contains(char::is_control) {
        return Err(VolumeError::Invalid(format!(
            "purpose: must be one line of at most {PURPOSE} characters"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn volumes_names_sizes_and_limits_are_checked_before_they_are_written() {
        let names = [
            ("db-1", true),
            ("a", true),
            (&"x".repeat(63), true),
            (&"x".repeat(64), false),
            ("", false),
            ("Db", false),
            ("../nodes/x", false),
            ("a/b", false),
            ("-a", false),
            ("a\n", false),
        ];
        for (text, want) in names {
            assert_eq!(name("name", text).is_ok(), want, "{text:?}");
        }
        let sizes = [
            (0, None),
            (1, Some(GRAIN)),
            (GRAIN, Some(GRAIN)),
            (GRAIN + 1, Some(2 * GRAIN)),
            (LARGEST, Some(LARGEST)),
            (LARGEST + 1, None),
            (u64::MAX, None),
        ];
        for (bytes, want) in sizes {
            assert_eq!(size(bytes).ok(), want, "{bytes}");
        }
        let some = |value| Limits { write_iops: Some(value), ..Limits::default() };
        for (value, want) in [(0, false), (1, true), (MOST, true), (MOST + 1, false)] {
            assert_eq!(ranges(&some(value)).is_ok(), want, "{value}");
        }
        let slow = Limits { read_bandwidth: Some(4095), ..Limits::default() };
        assert!(ranges(&slow).is_err() && ranges(&Limits::default()).is_ok());
        let none = Limits::default();
        let two = Limits { read_iops: Some(5), ..some(7) };
        let rows = [
            ("none", none, none, true),
            ("one, where nothing applies it", some(7), none, false),
            ("another one", some(8), two, false),
            ("one taken away", some(7), two, true),
            ("all taken away", none, two, true),
            ("out of range", some(0), none, false),
        ];
        for (name, now, before, want) in rows {
            assert_eq!(limits(&now, &before).is_ok(), want, "{name}");
        }
        assert!(purpose("machine db-1").is_ok() && purpose("a\u{1b}[2J").is_err());
    }

    proptest! {
        #[test]
        fn volumes_sizes_are_rounded_up_and_no_further(bytes in 1..=LARGEST) {
            let size = size(bytes).unwrap();
            prop_assert!(size >= bytes && size - bytes < GRAIN && size.is_multiple_of(GRAIN));
        }
    }
}

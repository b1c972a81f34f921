//! The install window: while it is open, machines that boot from the network are let in, up to a number of them.

use maekin_api::install::{OpenWindow, WindowState};

use super::decide::window_state;
use super::{InstallError, TRIES};
use crate::record::values::WindowValue;
use crate::record::{Change, Record, keys};

/// Checks what was asked for and makes it what is recorded. Pure.
///
/// # Errors
/// [`InstallError::Invalid`] naming the field and its bounds.
pub(crate) fn plan_window(open: OpenWindow, now: u64) -> Result<WindowValue, InstallError> {
    if !(1..=1440).contains(&open.minutes) {
        return Err(InstallError::Invalid(format!("minutes: {} is not within 1 to 1440", open.minutes)));
    }
    if !(1..=1000).contains(&open.count) {
        return Err(InstallError::Invalid(format!("count: {} is not within 1 to 1000", open.count)));
    }
    Ok(WindowValue { until: now + u64::from(open.minutes) * 60, left: open.count })
}

/// The window as it is at `now`.
///
/// # Errors
/// [`InstallError::Record`].
pub(crate) async fn state(record: &Record, now: u64) -> Result<WindowState, InstallError> {
    let window = record.get::<WindowValue>(keys::WINDOW).await?;
    Ok(window_state(window.as_ref().map(|w| &w.value), now))
}

/// Opens the window anew, whatever it was before; `None` closes it.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn set(record: &Record, window: Option<WindowValue>) -> Result<(), InstallError> {
    for _ in 0..TRIES {
        let old = record.get::<WindowValue>(keys::WINDOW).await?;
        // The key stays when the window closes: whoever takes a place must find a revision that changed.
        let value = window.clone().unwrap_or(WindowValue { until: 0, left: 0 });
        if old.is_none() && window.is_none() {
            return Ok(());
        }
        let revision = old.map_or(0, |old| old.revision);
        let change = Change::default().if_unchanged(keys::WINDOW, revision).put(keys::WINDOW, &value)?;
        if record.commit(change).await? {
            return Ok(());
        }
    }
    Err(InstallError::Contended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept() {
        let rows = [
            ("least", 1, 1, Some(WindowValue { until: 1060, left: 1 })),
            ("most", 1440, 1000, Some(WindowValue { until: 87_400, left: 1000 })),
            ("no time", 0, 1, None),
            ("too long", 1441, 1, None),
            ("nobody", 1, 0, None),
            ("too many", 1, 1001, None),
        ];
        for (name, minutes, count, want) in rows {
            assert_eq!(plan_window(OpenWindow { minutes, count }, 1000).ok(), want, "{name}");
        }
    }
}

//! `support`: a bundle for whoever helps, for people.

use std::path::Path;

use crate::settings::Settings;
use crate::support;

/// Makes a bundle and says how large it is, where, and how long it took.
///
/// # Errors
/// Why there is none.
pub(crate) fn run(settings: &Settings, to: Option<&Path>) -> anyhow::Result<()> {
    let report = support::run(settings, to, |step| eprintln!("{step}"))?;
    println!("{}", report.text());
    Ok(())
}

//! The menu on every console at once.
pub(crate) fn run(_settings: crate::settings::Settings, _tty: Vec<std::path::PathBuf>) -> anyhow::Result<()> {
    Ok(())
}

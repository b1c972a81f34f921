//! The figures of `docs/performance.md`.
pub(crate) fn run() -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}

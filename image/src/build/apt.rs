//! Debian's archive through apt, in directories of its own: neither the host's packages nor its lists are touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use maekin_host::cmd::Cmd;
use maekin_host::file;
use maekin_rootfs::archive::{self, Mirrors, Offer};
use maekin_rootfs::packages::Definition;

/// Debian's keys, of the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How long apt may take to fetch.
const FETCH_LIMIT: Duration = Duration::from_secs(3600);
/// Largest package index that is read.
const INDEX_LIMIT: u64 = 512 << 20;

/// apt with its own state.
pub(crate) struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Sets apt up for the suites of `definition`, from `mirror` or else from where the host gets Debian.
    /// `held` is a flat repository of packages that the archive may not have any more.
    pub(crate) fn set_up(
        dir: &Path,
        definition: &Definition,
        mirror: Option<&str>,
        held: Option<&Path>,
    ) -> Result<Self> {
        ensure!(
            Path::new(KEYRING).exists(),
            "Debian's keys are not at {KEYRING}; install the package debian-archive-keyring"
        );
        let (archive, security) = mirrors(mirror)?;
        let components = definition.components().join(" ");
        let mut sources = String::new();
        for suite in &definition.suites {
            let uri = if suite.ends_with("-security") { &security } else { &archive };
            sources += &format!("deb [signed-by={KEYRING}] {uri} {suite} {components}\n");
        }
        if let Some(held) = held {
            sources += &format!("deb [trusted=yes] copy:{} ./\n", held.display());
        }
        let at = dir.display();
        let conf = format!(
            "Dir \"{at}\";\nDir::State \"{at}/state\";\nDir::State::status \"{at}/state/status\";\n\
             Dir::Cache \"{at}/cache\";\nDir::Etc \"{at}/etc\";\nDir::Etc::sourcelist \"{at}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\nDir::Log \"{at}/log\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
             APT::Install-Recommends \"false\";\nAPT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\nAcquire::GzipIndexes \"false\";\nAcquire::Retries \"3\";\n\
             Acquire::http::Timeout \"30\";\n"
        );
        let dirs =
            ["state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "log"];
        for sub in dirs.map(|sub| dir.join(sub)) {
            fs::create_dir_all(&sub).with_context(|| format!("cannot create {}", sub.display()))?;
        }
        file::write_atomic(&dir.join("state/status"), b"", 0o644)?;
        file::write_atomic(&dir.join("sources.list"), sources.as_bytes(), 0o644)?;
        file::write_atomic(&dir.join("apt.conf"), conf.as_bytes(), 0o644)?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn cmd(&self, program: &str) -> Cmd {
        Cmd::new(program).env("APT_CONFIG", self.dir.join("apt.conf")).env("LC_ALL", "C").limit(FETCH_LIMIT)
    }

    /// Fetches the package indices.
    pub(crate) fn update(&self) -> Result<()> {
        let error =
            "cannot fetch Debian's package indices; is the mirror reachable? Name another with --mirror";
        self.cmd("apt-get").args(["-q", "update", "--error-on=any"]).run().context(error)
    }

    /// Everything that the archive offers.
    pub(crate) fn offers(&self) -> Result<Vec<Offer>> {
        let files = self
            .cmd("apt-get")
            .args(["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"])
            .text()?;
        let mut offers = Vec::new();
        for path in files.lines().map(Path::new).filter(|path| path.exists()) {
            offers.extend(archive::parse_packages(&file::read_text(path, INDEX_LIMIT)?));
        }
        ensure!(!offers.is_empty(), "Debian's package indices are empty; is the mirror complete?");
        // The same package may also be in the held repository; the archive's own path is the one to write down.
        offers.sort_by_key(|offer| !offer.path.starts_with("pool/"));
        Ok(offers)
    }

    /// What installing `packages` (names, or `name=version`) into an empty system would install, with Debian's
    /// essential packages where `essential`.
    pub(crate) fn resolve(
        &self,
        packages: &[String],
        essential: bool,
    ) -> Result<Vec<(String, String, String)>> {
        // apt counts itself as essential; an image has no use for it.
        let pattern = essential.then_some("?and(?essential,?not(?name(^apt$)))");
        let out = self
            .cmd("apt-get")
            .args(["-q", "--simulate", "--no-remove", "--allow-downgrades", "install"])
            .args(pattern)
            .args(packages)
            .text()?;
        Ok(archive::parse_simulation(&out))
    }

    /// Downloads packages, given as `name=version`, into `dir`; apt checks them against the signed indices.
    pub(crate) fn download(&self, packages: &[String], dir: &Path) -> Result<()> {
        let error = "cannot download packages; is the mirror reachable? Name another with --mirror";
        self.cmd("apt-get").args(["-q", "download"]).args(packages).dir(dir).run().context(error)
    }
}

/// The mirrors of the main and the security archive.
fn mirrors(mirror: Option<&str>) -> Result<(String, String)> {
    let found = match mirror {
        Some(uri) => Mirrors { archive: Some(uri.trim_end_matches('/').to_owned()), security: None },
        None => host_mirrors(Path::new("/etc/apt")),
    };
    let archive = found.archive.context(
        "this machine's apt does not say where Debian is to be had; name a mirror with --mirror, for example the \
         URI of a Debian installation's sources.list",
    )?;
    // Where Debian has the main archive under some name, it has the security archive beside it.
    let security = found.security.unwrap_or_else(|| format!("{archive}-security"));
    Ok((archive, security))
}

fn host_mirrors(dir: &Path) -> Mirrors {
    let parts = fs::read_dir(dir.join("sources.list.d")).into_iter().flatten().flatten().map(|e| e.path());
    let mut paths: Vec<PathBuf> = parts.collect();
    paths.sort();
    paths.insert(0, dir.join("sources.list"));
    let texts: Vec<String> = paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    archive::find_mirrors(texts.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_files_of_both_kinds_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let parts = dir.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        fs::write(
            parts.join("b.sources"),
            "Types: deb\nURIs: http://b.test\nSuites: sid\nComponents: main\n",
        )
        .unwrap();
        fs::write(parts.join("a.list"), "deb http://a.test/debian bookworm main\n").unwrap();
        assert_eq!(host_mirrors(dir.path()).archive.as_deref(), Some("http://a.test/debian"));
        assert_eq!(host_mirrors(Path::new("/nonexistent")), Mirrors::default());
    }

    #[test]
    fn a_named_mirror_has_security_beside_it() {
        let (archive, security) = mirrors(Some("http://m.test/debian/")).unwrap();
        assert_eq!(
            (archive.as_str(), security.as_str()),
            ("http://m.test/debian", "http://m.test/debian-security")
        );
    }
}

//! What apt and its files say: package indices, a simulated installation, the host's own sources. Parsing only.

use std::collections::BTreeMap;

/// A package that an archive offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture.
    pub arch: String,
    /// SHA-256 of the `.deb`, hex.
    pub sha256: String,
    /// Path below the archive's root.
    pub path: String,
}

/// Parses a `Packages` index (deb822 stanzas); stanzas that lack a field are skipped.
#[must_use]
pub fn parse_packages(text: &str) -> Vec<Offer> {
    text.split("\n\n").filter_map(|stanza| offer(&fields(stanza))).collect()
}

fn offer(fields: &BTreeMap<&str, &str>) -> Option<Offer> {
    let get = |key| fields.get(key).map(|value| (*value).to_owned());
    Some(Offer {
        name: get("Package")?,
        version: get("Version")?,
        arch: get("Architecture")?,
        sha256: get("SHA256")?,
        path: get("Filename")?.trim_start_matches("./").to_owned(),
    })
}

/// The single-line fields of one deb822 stanza.
fn fields(stanza: &str) -> BTreeMap<&str, &str> {
    let lines = stanza.lines().filter(|line| !line.starts_with([' ', '\t', '#']));
    lines.filter_map(|line| line.split_once(':')).map(|(key, value)| (key, value.trim())).collect()
}

/// Parses the output of `apt-get --simulate install`: name, version and architecture of all that it would install.
#[must_use]
pub fn parse_simulation(text: &str) -> Vec<(String, String, String)> {
    text.lines().filter_map(simulated).collect()
}

/// `Inst name (version origin [arch])`, with the architecture also after the name in multi-arch set-ups.
fn simulated(line: &str) -> Option<(String, String, String)> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    let (rest, _) = rest.split_once('(')?.1.split_once(')')?; // behind it, apt notes what is not configured yet
    let version = rest.split(' ').next()?;
    let (_, arch) = rest.rsplit_once('[')?;
    let arch = arch.split(']').next()?;
    let name = name.split(':').next()?;
    Some((name.to_owned(), version.to_owned(), arch.to_owned()))
}

/// Where a host gets Debian from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirrors {
    /// Of the main archive.
    pub archive: Option<String>,
    /// Of the security archive.
    pub security: Option<String>,
}

/// Finds Debian's mirrors in the text of apt source files of both formats (`.list` and `.sources`): those whose
/// suites have names of Debian releases, or just are on their way (`stable`), and whose component is `main`.
#[must_use]
pub fn find_mirrors<'a>(files: impl IntoIterator<Item = &'a str>) -> Mirrors {
    let mut mirrors = Mirrors::default();
    for (uri, suite, components) in files.into_iter().flat_map(sources) {
        if !components.split_whitespace().any(|c| c == "main") {
            continue;
        }
        let base = suite.split(['-', '/']).next().unwrap_or_default();
        if !RELEASES.contains(&base) {
            continue;
        }
        let security = suite.ends_with("-security") || suite.ends_with("/updates");
        let slot = if security { &mut mirrors.security } else { &mut mirrors.archive };
        slot.get_or_insert(uri.trim_end_matches('/').to_owned());
    }
    mirrors
}

/// Releases of Debian whose hosts can build, and the moving names.
const RELEASES: [&str; 9] =
    ["bullseye", "bookworm", "trixie", "forky", "duke", "sid", "stable", "testing", "unstable"];

/// `(uri, suite, components)` of every binary source in one file.
fn sources(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("deb ")) {
        let line = match line.trim_start().strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or("", |(_, rest)| rest),
            None => line,
        };
        let mut words = line.split_whitespace();
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            found.push((uri.to_owned(), suite.to_owned(), words.collect::<Vec<_>>().join(" ")));
        }
    }
    for stanza in text.split("\n\n") {
        let fields = fields(stanza);
        let get = |key| fields.get(key).copied().unwrap_or("");
        if get("Types").split_whitespace().any(|t| t == "deb") && get("Enabled") != "no" {
            for (uri, suite) in get("URIs")
                .split_whitespace()
                .flat_map(|uri| get("Suites").split_whitespace().map(move |suite| (uri, suite)))
            {
                found.push((uri.to_owned(), suite.to_owned(), get("Components").to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_and_what_is_incomplete_skipped() {
        let text = "Package: a\nVersion: 1:2\nArchitecture: amd64\nFilename: pool/a.deb\nSHA256: ff\n\
                    Description: x\n more: y\n\nPackage: b\nVersion: 1\n";
        let offers = parse_packages(text);
        assert_eq!(offers.len(), 1);
        assert_eq!((offers[0].name.as_str(), offers[0].version.as_str()), ("a", "1:2"));
        assert_eq!(offers[0].path, "pool/a.deb");
    }

    #[test]
    fn a_simulation_lists_what_is_installed() {
        let text = "Reading package lists...\nInst gcc-14-base (14.2.0-19 Debian:13.1/stable [amd64]) [libc6:amd64 ]\n\
                    Inst tzdata:all (2026f-0+deb13u1 Debian:13.1/stable, Debian-Security:13/stable-security [all])\n\
                    Conf gcc-14-base (14.2.0-19 Debian:13.1/stable [amd64])\n";
        let row = |n: &str, v: &str, a: &str| (n.to_owned(), v.to_owned(), a.to_owned());
        assert_eq!(
            parse_simulation(text),
            [row("gcc-14-base", "14.2.0-19", "amd64"), row("tzdata", "2026f-0+deb13u1", "all")]
        );
    }

    #[test]
    fn mirrors_are_found_in_both_formats() {
        type Row<'a> = (&'a str, &'a [&'a str], Option<&'a str>, Option<&'a str>);
        let rows: [Row<'_>; 6] = [
            ("nothing", &[""], None, None),
            (
                "deb822",
                &[
                    "Types: deb\n# a note\nURIs: http://m.test/debian/\nSuites: bookworm bookworm-updates\nComponents: main\n\n\
                   Types: deb\nURIs: http://m.test/sec\nSuites: bookworm-security\nComponents: main\n",
                ],
                Some("http://m.test/debian"),
                Some("http://m.test/sec"),
            ),
            (
                "one line, with options",
                &[
                    "deb [signed-by=/k arch=amd64] http://m.test/debian trixie main contrib\n# deb http://no.test x main",
                ],
                Some("http://m.test/debian"),
                None,
            ),
            ("another vendor", &["deb http://cloud.test/apt cloud-sdk-bookworm main"], None, None),
            (
                "source packages only",
                &["Types: deb-src\nURIs: http://m.test\nSuites: sid\nComponents: main\n"],
                None,
                None,
            ),
            (
                "switched off",
                &["Types: deb\nEnabled: no\nURIs: http://m.test\nSuites: sid\nComponents: main\n"],
                None,
                None,
            ),
        ];
        for (name, files, archive, security) in rows {
            let found = find_mirrors(files.iter().copied());
            assert_eq!((found.archive.as_deref(), found.security.as_deref()), (archive, security), "{name}");
        }
    }
}

//! Debian packages that a command needs: which are missing, and installing them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use maekin_host::cmd::{self, Cmd};

use crate::{cargo, shown, step};

/// What packages are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compiling the workspace.
    Compile,
    /// Building the image.
    Image,
    /// Running a virtual rack.
    Rack,
    /// Tests of single crates that drive real programs.
    Test,
    /// Servers of others, to measure beside ours. Those that would begin to serve by themselves are not installed, but
    /// unpacked (`bench::lab`); these are what they need.
    Bench,
}

impl Purpose {
    fn why(self) -> &'static str {
        match self {
            Self::Compile => "compile the workspace",
            Self::Image => "build the image",
            Self::Rack => "run virtual nodes",
            Self::Test => "test against real programs",
            Self::Bench => "measure beside other programs",
        }
    }

    /// Names that Debian 12 and 13 both have.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Compile => &["gcc", "libc6-dev", "libprotobuf-dev", "protobuf-compiler"],
            Self::Image => &["debian-archive-keyring", "mmdebstrap", "mtools", "uidmap", "xorriso"],
            Self::Rack => &[
                "e2fsprogs",
                "ipxe-qemu",
                "mtools",
                "openssh-client",
                "ovmf",
                "qemu-system-x86",
                "qemu-utils",
            ],
            Self::Test => &[
                "atftp",
                "busybox",
                "curl",
                "debian-archive-keyring",
                "dhcpcd-base",
                "dnsmasq-base",
                "etcd-server",
                "iproute2",
                "ipmitool",
                "isc-dhcp-client",
                "minisign",
                "nftables",
                "openipmi",
                "tftp-hpa",
                "udhcpc",
                "xorriso",
            ],
            Self::Bench => &["dnsmasq-base", "iproute2", "kea-admin", "libpcre2-8-0", "libwrap0", "udpcast"],
        }
    }
}

/// Makes sure that what `purposes` need is installed, installing what is missing.
///
/// # Errors
/// Says what to install where that cannot be done from here.
pub(crate) fn ensure(purposes: &[Purpose]) -> anyhow::Result<()> {
    let wanted: BTreeSet<&str> = purposes.iter().flat_map(|p| p.packages()).copied().collect();
    let list = wanted.iter().copied().collect::<Vec<_>>().join(" ");
    if !cmd::exists("dpkg-query") || !cmd::exists("apt-get") {
        bail!("this is not a Debian system: install what Debian calls {list} by your own means");
    }
    until_all(
        &wanted,
        || installed(&wanted),
        |missing| {
            for purpose in purposes {
                let of: Vec<&str> =
                    purpose.packages().iter().copied().filter(|p| missing.contains(p)).collect();
                if !of.is_empty() {
                    println!("missing to {}: {}", purpose.why(), of.join(" "));
                }
            }
            step::run("install packages", || install(missing))
        },
    )
}

/// How often is installed. Apt removes what conflicts with what it installs, also where that was among what is wanted: a
/// newer `qemu-utils` from backports, say, for the `qemu-system-x86` of the release. The second time it takes one that
/// goes with the others.
const ROUNDS: usize = 2;

/// Installs what `ask` (dpkg's answer) does not show of `wanted`.
fn until_all<'a>(
    wanted: &BTreeSet<&'a str>,
    mut ask: impl FnMut() -> anyhow::Result<String>,
    mut install: impl FnMut(&[&'a str]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        let missing = missing(wanted, &ask()?);
        if missing.is_empty() {
            return Ok(());
        }
        install(&missing)?;
    }
    let missing = missing(wanted, &ask()?);
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    bail!(
        "apt installs {list} only by removing others of the wanted packages; see what conflicts: apt-get install {}",
        wanted.iter().copied().collect::<Vec<_>>().join(" ")
    )
}

/// What dpkg says of them.
fn installed(wanted: &BTreeSet<&str>) -> anyhow::Result<String> {
    let known = Cmd::new("dpkg-query").args(["-W", "-f", "${Package} ${db:Status-Status}\\n"]).args(wanted);
    match known.output() {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        // One of them was never heard of, which is an answer too.
        Err(cmd::CmdError::Failed { .. }) => Ok(query_each(wanted)),
        Err(e) => Err(e.into()),
    }
}

/// One question for each package, for those that fail together.
fn query_each(wanted: &BTreeSet<&str>) -> String {
    let query = |name: &&str| {
        Cmd::new("dpkg-query").args(["-W", "-f", "${Package} ${db:Status-Status}\\n"]).arg(name).text().ok()
    };
    wanted.iter().filter_map(query).collect()
}

/// Those of `wanted` that dpkg's answer (`name status` lines) does not show as installed.
fn missing<'a>(wanted: &BTreeSet<&'a str>, answer: &str) -> Vec<&'a str> {
    let installed: BTreeSet<&str> =
        answer.lines().filter_map(|l| l.trim().strip_suffix(" installed")).collect();
    wanted.iter().copied().filter(|name| !installed.contains(name)).collect()
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    let root = Cmd::new("id").arg("-u").text()?.trim() == "0";
    if !root && !cmd::exists("sudo") {
        bail!(
            "neither root nor sudo here; as root: apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    let apt = || {
        let env = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"];
        let cmd = if root { shown(env[0]) } else { shown("sudo").arg(env[0]) };
        cmd.args(&env[1..]).limit(Duration::from_secs(1800))
    };
    apt().arg("update").run().context("cannot refresh the package lists (is there a network?)")?;
    apt()
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages)
        .run()
        .with_context(|| format!("cannot install {}", packages.join(" ")))
}

/// Makes sure that cargo-nextest is there.
///
/// # Errors
/// When it cannot be installed.
pub(crate) fn ensure_nextest() -> anyhow::Result<()> {
    if cmd::exists("cargo-nextest") || cargo_quiet().args(["nextest", "--version"]).run().is_ok() {
        return Ok(());
    }
    step::run("install cargo-nextest", || Ok(cargo().args(["install", "--locked", "cargo-nextest"]).run()?))
}

fn cargo_quiet() -> Cmd {
    Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_counts() {
        let wanted = BTreeSet::from(["a", "b", "c", "d"]);
        let rows: [(&str, &str, &[&str]); 4] = [
            ("all there", "a installed\nb installed\nc installed\nd installed\n", &[]),
            (
                "removed, configuration left",
                "a installed\nb config-files\nc installed\nd installed\n",
                &["b"],
            ),
            ("never heard of", "a installed\n", &["b", "c", "d"]),
            ("no answer", "", &["a", "b", "c", "d"]),
        ];
        for (name, answer, want) in rows {
            assert_eq!(missing(&wanted, answer), want, "{name}");
        }
    }

    #[test]
    fn what_an_installation_pushed_out_is_installed_again() {
        let wanted = BTreeSet::from(["system", "utils"]);
        // What apt leaves after each round.
        type Row = (&'static str, &'static [&'static str], &'static [&'static [&'static str]], bool);
        let rows: [Row; 4] = [
            ("all there", &["system installed\nutils installed"], &[], true),
            ("installed", &["", "system installed\nutils installed"], &[&["system", "utils"]], true),
            (
                "one pushes the other out, and an older one of it goes with it",
                &["utils installed", "system installed", "system installed\nutils installed"],
                &[&["system"], &["utils"]],
                true,
            ),
            (
                "they never go together",
                &["utils installed", "system installed", "utils installed"],
                &[&["system"], &["utils"]],
                false,
            ),
        ];
        for (name, answers, want, ends_well) in rows {
            let mut answers = answers.iter();
            let mut asked = Vec::new();
            let ask = || Ok(answers.next().copied().unwrap_or_default().to_owned());
            let outcome = until_all(&wanted, ask, |missing| {
                asked.push(missing.to_vec());
                Ok(())
            });
            assert_eq!(asked, want, "{name}");
            assert_eq!(outcome.is_ok(), ends_well, "{name}");
        }
    }
}

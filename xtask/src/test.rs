//! Unit tests and racks, by nextest (`.config/nextest.toml` says what runs beside what).

use maekin_host::cmd::Cmd;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::packages::{self, Purpose};
use crate::{build, cargo, etcd, lint, room, step, workspace};

/// The crate whose integration tests run the image.
const RACKS: &str = "maekin-qemu-tests::";
/// Those among its programs that do not.
const WITHOUT_IMAGE: [&str; 2] = ["maekin-qemu-tests::harness", "maekin-qemu-tests::bin/rack"];

/// The crate whose tests start the record's programs.
const RECORD: &str = "maekin-agent::";

/// Everything a change has to pass. The last line is nextest's summary.
pub(crate) fn everything(long: bool) -> anyhow::Result<()> {
    packages::ensure(&[Purpose::Compile, Purpose::Image, Purpose::Rack, Purpose::Test])?;
    packages::ensure_nextest()?;
    room::check(&room::TESTS)?;
    lint::run()?;
    build::image(&[])?;
    step::run("compile tests", || Ok(nextest("run").arg("--no-run").run()?))?;
    println!("==> tests");
    // Tests that would be skipped for want of root or of a program fail (`maekin_lab::possible`).
    Ok(etcd::first(selection(running()?, None, long).env("MAEKIN_TEST_ALL", "1"))?.run()?)
}

/// Runs or lists the tests that match; the image is built when one of them runs it, and what ships of it is there when one
/// of them starts that.
pub(crate) fn matching(name: Option<&str>, list: bool, long: bool) -> anyhow::Result<()> {
    packages::ensure(&[Purpose::Compile, Purpose::Test])?;
    packages::ensure_nextest()?;
    let json = |cmd: Cmd| cmd.args(["--message-format", "json"]).json::<List>();
    let filter = match name {
        Some(name) => Some(filter(name, &json(quiet_nextest("list"))?)),
        None => None,
    };
    let filter = filter.as_deref();
    if list {
        return Ok(selection(nextest("list"), filter, long).run()?);
    }
    let chosen = json(selection(quiet_nextest("list"), filter, long))?;
    if needs_image(&chosen) {
        packages::ensure(&[Purpose::Image, Purpose::Rack])?;
        room::check(&room::TESTS)?;
        build::image(&[])?;
    } else if needs_record(&chosen) {
        etcd::provide();
    }
    Ok(etcd::first(selection(running()?, filter, long))?.run()?)
}

fn nextest(command: &str) -> Cmd {
    cargo().args(["nextest", command, "--locked", "--workspace"])
}

fn running() -> anyhow::Result<Cmd> {
    Ok(nextest("run").arg(format!("--test-threads={}", room::tests_at_once()?)))
}

fn quiet_nextest(command: &str) -> Cmd {
    Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .dir(workspace())
        .limit(Duration::from_secs(1800))
        .args(["nextest", command, "--locked", "--workspace"])
}

fn selection(mut cmd: Cmd, filter: Option<&str>, long: bool) -> Cmd {
    if let Some(filter) = filter {
        cmd = cmd.arg("-E").arg(filter);
    }
    if long {
        // Sweeps are `#[ignore]`d with the reason that they are long.
        cmd = cmd.args(["--run-ignored", "all"]);
    }
    cmd
}

/// nextest's filter for a name a person typed: part of a test's name or of its file's. nextest takes a file's name that
/// none has for a mistake, so it is asked for only where one has it.
fn filter(name: &str, all: &List) -> String {
    let quoted: String = name
        .chars()
        .flat_map(|c| if matches!(c, '/' | '\\' | ')' | '(' | ',') { vec!['\\', c] } else { vec![c] })
        .collect();
    if all.rust_suites.values().any(|suite| suite.binary_name.contains(name)) {
        format!("test(~{quoted}) or binary(~{quoted})")
    } else {
        format!("test(~{quoted})")
    }
}

/// The part of nextest's list that is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct List {
    rust_suites: BTreeMap<String, Suite>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Suite {
    binary_name: String,
    #[serde(default)]
    testcases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Case {
    filter_match: Match,
}

#[derive(Deserialize)]
struct Match {
    status: String,
}

fn needs_image(list: &List) -> bool {
    runs(list, |id| id.starts_with(RACKS) && !WITHOUT_IMAGE.contains(&id))
}

fn needs_record(list: &List) -> bool {
    runs(list, |id| id.starts_with(RECORD))
}

/// Whether a test will run of a program that `of` holds for.
fn runs(list: &List, of: impl Fn(&str) -> bool) -> bool {
    let any = |suite: &Suite| suite.testcases.values().any(|case| case.filter_match.status == "matches");
    list.rust_suites.iter().any(|(id, suite)| of(id) && any(suite))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_filters() {
        let text = r#"{"rust-suites": {"c::mirror_halves": {"binary-name": "mirror_halves"}}}"#;
        let all: List = serde_json::from_str(text).unwrap();
        let rows = [
            ("of a file, maybe of a test", "mirror", "test(~mirror) or binary(~mirror)"),
            ("of no file", "another_build", "test(~another_build)"),
            ("path of a module", "switch::tests", "test(~switch::tests)"),
            ("what would end the filter", "a) or all(", r"test(~a\) or all\()"),
        ];
        for (name, typed, want) in rows {
            assert_eq!(filter(typed, &all), want, "{name}");
        }
    }

    fn list(id: &str, status: &str) -> List {
        let text = format!(
            r#"{{"test-count":1,"rust-suites":{{"{id}":{{"package-name":"x","binary-name":"x","testcases":{{"t":
               {{"ignored":false,"filter-match":{{"status":"{status}"}}}}}}}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn only_racks_that_will_run_need_the_image() {
        let rows = [
            ("a rack that matches", "maekin-qemu-tests::usb_install", "matches", true),
            ("a rack that does not", "maekin-qemu-tests::usb_install", "mismatch", false),
            ("the harness", "maekin-qemu-tests::harness", "matches", false),
            ("unit tests of the program", "maekin-qemu-tests::bin/rack", "matches", false),
            ("the library's own unit tests", "maekin-qemu-tests", "matches", false),
            ("another crate", "maekin-pxe::serve", "matches", false),
        ];
        for (name, id, status, want) in rows {
            assert_eq!(needs_image(&list(id, status)), want, "{name}");
        }
    }

    #[test]
    fn only_tests_of_the_agent_that_will_run_need_the_record_as_it_ships() {
        let rows = [
            ("unit tests", "maekin-agent::bin/maekin-agent", "matches", true),
            ("a rack in namespaces", "maekin-agent::partition", "matches", true),
            ("none that matches", "maekin-agent::partition", "mismatch", false),
            ("another crate", "maekin-pxe::serve", "matches", false),
        ];
        for (name, id, status, want) in rows {
            assert_eq!(needs_record(&list(id, status)), want, "{name}");
        }
    }
}

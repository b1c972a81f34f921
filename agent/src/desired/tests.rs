//! Settings from the API to the node, against a real record. The node's files lie below a directory, and its services
//! are a script that writes down what it is told.
//!
//! | module | job |
//! | --- | --- |
//! | `api` | over HTTPS: versions, patches, who may |
//! | `node` | the node follows: files, services, restarts in between, failures |

mod api;
mod node;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::access::Role;
use maekin_api::settings::{ConditionStatus, NodeSettings, SettingsStatus};
use maekin_rootfs::node::ClusterIntent;
use maekin_rootfs::render::render;
use serde_json::{Map, Value};

use super::applier::Wanted;
use super::change::Edit;
use super::node_file::Installed;
use super::store::{self, Asker, DesiredError, Meant};
use crate::app::{App, Member};
use crate::record::Expected;
use crate::testing::{agent, become_member};

/// How long anything is waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// A public key that nobody has the other half of.
fn key(name: &str) -> String {
    format!("ssh-ed25519 {} {name}", STANDARD.encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20xx"))
}

/// A member whose configuration files are as its start renders them.
async fn member(dir: &Path) -> (Arc<App>, Arc<Member>) {
    let app = agent(dir, 1, ClusterIntent::Create { name: "rack".into() });
    installed(&app);
    let member = become_member(&app).await;
    (app, member)
}

/// Makes what the initrd makes, and a `systemctl` that also writes down what it is told.
fn installed(app: &App) {
    for file in render(&app.config).unwrap() {
        let path = app.settings.root.join(file.path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.content).unwrap();
    }
    let kernel = app.settings.root.join("proc/sys/kernel");
    fs::create_dir_all(&kernel).unwrap();
    fs::write(kernel.join("hostname"), format!("{}\n", app.config.hostname)).unwrap();
    let script = fs::read_to_string(&app.settings.systemctl).unwrap();
    if !script.contains("told") {
        let dir = app.settings.root.display();
        let told = format!(
            "#!/bin/sh\n[ -e {dir}/broken ] && {{ echo 'no bus' >&2; exit 1; }}\necho \"$*\" >>{dir}/told\n"
        );
        fs::write(&app.settings.systemctl, script.replacen("#!/bin/sh\n", &told, 1)).unwrap();
        fs::set_permissions(&app.settings.systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// What services were told since this was asked last, but for the record's.
fn told(app: &App) -> Vec<String> {
    let path = app.settings.root.join("told");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(&path); // there may be none
    let mut lines: Vec<_> = text.lines().filter(|line| !line.contains("etcd")).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn file(app: &App, path: &str) -> Option<String> {
    fs::read_to_string(app.settings.root.join(path.trim_start_matches('/'))).ok()
}

fn fields(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// Changes settings as an admin does who says nothing of versions.
async fn patch(member: &Member, name: &str, patch: Value) -> Result<(), DesiredError> {
    let asker = Asker { role: Role::Admin, name: "eva".into() };
    let any = Meant::Named(Expected::Whatever);
    store::set(&member.record, name, &Edit::Merge(fields(patch)), &any, &asker, 1000).await
}

/// Waits until the node says in the record that it has taken up `generation` and is `ready`.
async fn until(member: &Member, id: &str, generation: u64, ready: ConditionStatus) -> SettingsStatus {
    let key = crate::record::keys::under(crate::record::keys::NODE_STATUS, id);
    let look = async {
        loop {
            let found = member.record.get::<SettingsStatus>(&key).await.unwrap().map(|found| found.value);
            if let Some(status) = found
                && status.observed_generation == generation
                && status.condition("Ready").is_some_and(|c| c.status == ready)
            {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let what = format!("generation {generation} to be {ready:?}");
    let Ok(status) = tokio::time::timeout(LIMIT, look).await else {
        let (now, _) = store::get(&member.record, id).await.unwrap();
        panic!("waited for {what}: {:?}", now.status)
    };
    status
}

fn wanted(app: &App, generation: u64, spec: Value) -> Wanted {
    let spec: NodeSettings = serde_json::from_value(spec).unwrap();
    Wanted { generation, network_generation: generation, spec, installed: Installed::from(&app.config) }
}

//! From the file as written to answers that hold together. All problems are found at once.

use std::collections::{BTreeMap, BTreeSet};

use maekin_api::trust::token::parse_token;
use maekin_rootfs::node::{self, ClusterIntent, NodeConfig};
use maekin_rootfs::validate::validate;
use uuid::Uuid;

use super::drives::check_mirror;
use super::wire::{AnswerFile, Cluster, Identity, Mode};
use super::{Answers, Password, Problem, Problems};

/// A password shorter than this is guessed.
const MIN_PASSWORD: usize = 8;

/// The problems found so far.
#[derive(Default)]
pub(super) struct Found(Vec<Problem>);

impl Found {
    pub(super) fn add(&mut self, key: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Problem { line: None, key: key.into(), reason: reason.into() });
    }
}

impl TryFrom<AnswerFile> for Answers {
    type Error = Problems;

    fn try_from(file: AnswerFile) -> Result<Self, Problems> {
        let mut found = Found::default();
        if file.version != 1 {
            found.add("version", format!("{} is not known; this release knows 1", file.version));
        }
        let password = check_password(&file, &mut found);
        let mirror = check_mirror(&file.disks.mirror, &mut found);
        let consent = check_consent(&file.disks.consent, &mut found);
        check_interfaces(&file.network, &mut found);
        let keep_identity = file.install.identity == Identity::Keep;
        match (file.node.hostname.is_empty(), keep_identity) {
            (true, false) => found.add(
                "node.hostname",
                "is missing: give a host name, 1 to 63 of a-z, 0-9 and -, or identity = \"keep\" in [install]",
            ),
            (false, true) => {
                found.add("node.hostname", "contradicts install.identity = \"keep\": give one of the two");
            }
            _ => {}
        }
        let cluster = check_cluster(&file.cluster, &mut found);
        let answers = Self {
            hostname: file.node.hostname,
            keep_identity,
            password,
            ssh_keys: file.admin.ssh_keys,
            mirror,
            consent,
            network: file.network,
            time: file.time,
            cluster,
            provision: file.provision,
            after: file.install.after,
        };
        answers.check_node(&mut found);
        if found.0.is_empty() { Ok(answers) } else { Err(Problems(found.0)) }
    }
}

impl Answers {
    /// The node file that follows from these answers.
    #[must_use]
    pub fn node_config(&self, install_id: Uuid, machine_id: String, hash: Option<String>) -> NodeConfig {
        NodeConfig {
            version: 1,
            install_id,
            machine_id,
            hostname: self.hostname.clone(),
            admin: node::Admin { password_hash: hash, ssh_keys: self.ssh_keys.clone() },
            network: self.network.clone(),
            time: self.time.clone(),
            cluster: self.cluster.clone(),
            provision: self.provision.clone(),
            disks: Vec::new(),
        }
    }

    /// What the rules of the node file say, with keys as they are in the answer file.
    fn check_node(&self, found: &mut Found) {
        let hash = match &self.password {
            Some(Password::Hash(hash)) => Some(hash.clone()),
            _ => None,
        };
        let mut config = self.node_config(Uuid::nil(), "1".repeat(32), hash);
        if self.keep_identity {
            "kept".clone_into(&mut config.hostname);
        }
        for invalid in validate(&config) {
            let key = if invalid.field == "hostname" { "node.hostname".to_owned() } else { invalid.field };
            if !found.0.iter().any(|p| p.key == key) {
                found.add(key, invalid.reason);
            }
        }
    }
}

fn check_password(file: &AnswerFile, found: &mut Found) -> Option<Password> {
    let admin = &file.admin;
    let nobody = admin.password.is_none() && admin.password_hash.is_none() && admin.ssh_keys.is_empty();
    if nobody && file.cluster.mode == Mode::Create {
        found.add("admin", "nobody could administer this node: give password, password_hash or ssh_keys");
    }
    match (&admin.password, &admin.password_hash) {
        (Some(_), Some(_)) => {
            found.add("admin.password", "contradicts password_hash: give one of the two");
            None
        }
        (Some(plain), None) => {
            if plain.chars().count() < MIN_PASSWORD {
                found.add("admin.password", format!("is too short: at least {MIN_PASSWORD} characters"));
            }
            Some(Password::Plain(plain.clone()))
        }
        (None, Some(hash)) => Some(Password::Hash(hash.clone())),
        (None, None) => None,
    }
}

fn check_consent(tokens: &[String], found: &mut Found) -> BTreeSet<String> {
    for (i, token) in tokens.iter().enumerate() {
        if !crate::plan::consent::is_token(token) {
            let reason = "is no consent token; `maekin-installer plan` prints them, like 0123-4567-89ab-cdef";
            found.add(format!("disks.consent[{i}]"), reason);
        }
    }
    tokens.iter().cloned().collect()
}

fn check_interfaces(network: &node::Network, found: &mut Found) {
    let mut macs = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (i, interface) in network.interfaces.iter().enumerate() {
        let key = format!("network.interface[{i}]");
        if let Some(first) = interface.mac.clone().and_then(|mac| macs.insert(mac.to_lowercase(), i)) {
            found.add(format!("{key}.mac"), format!("is the same as that of interface {}", first + 1));
        }
        if let Some(first) = interface.name.clone().and_then(|name| names.insert(name, i)) {
            found.add(format!("{key}.name"), format!("is the same as that of interface {}", first + 1));
        }
        for address in &interface.addresses {
            let host = address.split('/').next().unwrap_or_default().to_owned();
            if let Some(first) = addresses.insert(host, i) {
                let reason = format!("{address} is given twice, first to interface {}", first + 1);
                found.add(format!("{key}.addresses"), reason);
            }
        }
    }
}

fn check_cluster(cluster: &Cluster, found: &mut Found) -> ClusterIntent {
    let join = [
        ("masters", cluster.masters.is_some()),
        ("ca_sha256", cluster.ca_sha256.is_some()),
        ("secret", cluster.secret.as_ref().is_some_and(|s| !s.is_empty())),
    ];
    let token = ("token", cluster.token.is_some());
    match cluster.mode {
        Mode::Wait => {
            for (name, _) in join.iter().chain([&token]).filter(|(_, given)| *given) {
                found.add(format!("cluster.{name}"), "contradicts mode = \"wait\": it belongs to \"join\"");
            }
            if cluster.name.is_some() {
                found.add("cluster.name", "contradicts mode = \"wait\": it belongs to \"create\"");
            }
            ClusterIntent::Wait
        }
        Mode::Create => {
            for (name, _) in join.iter().chain([&token]).filter(|(_, given)| *given) {
                found.add(format!("cluster.{name}"), "contradicts mode = \"create\": it belongs to \"join\"");
            }
            if cluster.name.is_none() {
                found.add("cluster.name", "is missing: mode = \"create\" needs the new cluster's name");
            }
            ClusterIntent::Create { name: cluster.name.clone().unwrap_or_default() }
        }
        Mode::Join => {
            if cluster.name.is_some() {
                found.add("cluster.name", "contradicts mode = \"join\": the cluster has its name already");
            }
            if let Some(token) = &cluster.token {
                for (name, _) in join.iter().filter(|(_, given)| *given) {
                    found.add(
                        format!("cluster.{name}"),
                        "contradicts token, which says it too: give one of the two",
                    );
                }
                return by_token(token, found);
            }
            for (name, _) in join.iter().filter(|(_, given)| !*given) {
                found.add(format!("cluster.{name}"), "is missing: mode = \"join\" needs it, or a token");
            }
            ClusterIntent::Join {
                masters: cluster.masters.clone().unwrap_or_default(),
                ca_sha256: cluster.ca_sha256.clone().unwrap_or_default(),
                secret: cluster.secret.clone().unwrap_or_default(),
            }
        }
    }
}

/// The token stays whole in the node file: it has more to say to the cluster than where that is.
fn by_token(text: &str, found: &mut Found) -> ClusterIntent {
    let text = text.trim();
    match parse_token(text) {
        Ok(token) => {
            let (masters, ca_sha256) = (token.urls(), token.ca_sha256);
            ClusterIntent::Join { masters, ca_sha256, secret: text.to_owned() }
        }
        Err(e) => {
            found.add("cluster.token", e.to_string());
            ClusterIntent::Wait
        }
    }
}

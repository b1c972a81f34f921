//! The answers as a person types them. They are checked by the same code as an answer file.
//!
//! | module | job |
//! | --- | --- |
//! | `network` | the network's form, and what follows from it |

mod network;

use maekin_rootfs::node::{Provision, Time};
use maekin_rootfs::validate::is_label;

use super::form::{Field, Form};
use crate::answers::wire::{Admin, AnswerFile, Cluster, Disks, Install, Mode, Node};
use crate::answers::{Answers, Problem, Problems};
use crate::facts::{Disk, Facts, Nic, PreviousNode};
use crate::plan::{consent, kept, select};

const CREATE: &str = "create a new cluster";
const JOIN: &str = "join a cluster";
const NO: &str = "no";
const YES: &str = "yes";

/// Everything typed so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Drives chosen, in order: indices into the facts' drives.
    pub drives: Vec<usize>,
    /// Where the cursor is among the drives.
    pub cursor: usize,
    /// Host name, password, key.
    pub node: Form,
    /// First interface.
    pub network: Form,
    /// Cluster and provisioning.
    pub cluster: Form,
    /// The word of consent.
    pub word: String,
    /// Who this machine was, and what says so.
    pub previous: Option<String>,
}

impl Draft {
    /// An empty draft for this machine: drives that leave no doubt are chosen already.
    #[must_use]
    pub fn new(facts: &Facts) -> Self {
        let blank: Vec<usize> =
            (0..).zip(&facts.disks).filter(|(_, d)| is_free(facts, d)).map(|(i, _)| i).collect();
        let previous = kept::previous(facts, &[]).filter(|previous| is_label(&previous.hostname));
        let name = previous.as_ref().map_or("node-1", |previous| &previous.hostname);
        Self {
            drives: if blank.len() <= 2 { blank } else { Vec::new() },
            cursor: 0,
            node: Form::new(vec![
                Field::text("Host name", name, "1 to 63 of a-z, 0-9 and -"),
                Field::secret("Password", "of user admin, at least 8 characters; empty: ssh key only"),
                Field::secret("Password again", "the same once more"),
                Field::text("SSH key", "", "one line like ssh-ed25519 AAAA... name; empty: no ssh"),
            ]),
            network: network::form(&facts.nics),
            cluster: Form::new(vec![
                Field::choice("Cluster", &[CREATE, JOIN], "left and right choose"),
                Field::text("Name", "rack", "of the new cluster: a-z, 0-9 and -").when("Cluster", CREATE),
                Field::choice(
                    "Install others",
                    &[NO, YES],
                    "hand out addresses and install machines by network",
                )
                .when("Cluster", CREATE),
                Field::text("First address", "", "first one handed out").when("Install others", YES),
                Field::text("Last address", "", "last one handed out").when("Install others", YES),
                Field::text("Master", "https://", "like https://10.77.0.1:8443").when("Cluster", JOIN),
                Field::text("CA digest", "", "SHA-256 shown on a node of the cluster").when("Cluster", JOIN),
                Field::secret("Secret", "one-time secret shown there").when("Cluster", JOIN),
            ]),
            word: String::new(),
            previous: previous
                .map(|previous| format!("{}, says {}", previous.words(), witness(facts, &previous))),
        }
    }

    /// A draft after another look at this machine: what was typed before stays.
    #[must_use]
    pub fn renewed(self, before: &Facts, facts: &Facts) -> Self {
        let mut new = Self::new(facts);
        let ports = |facts: &Facts| facts.nics.iter().map(|nic| nic.mac.clone()).collect::<Vec<_>>();
        let chosen: Vec<usize> = self
            .chosen(before)
            .into_iter()
            .filter_map(|disk| facts.disks.iter().position(|d| d.is_same_drive(disk)))
            .filter(|i| select::objections(facts, &facts.disks[*i]).is_empty())
            .collect();
        if !chosen.is_empty() {
            new.drives = chosen;
        }
        if ports(before) == ports(facts) {
            new.network = self.network;
        }
        Self { node: self.node, cluster: self.cluster, ..new }
    }

    /// Takes in what has become of the network interfaces.
    pub fn see_nics(&mut self, nics: &[Nic]) {
        network::see(&mut self.network, nics);
    }

    /// The chosen drives.
    #[must_use]
    pub fn chosen<'a>(&self, facts: &'a Facts) -> Vec<&'a Disk> {
        self.drives.iter().filter_map(|i| facts.disks.get(*i)).collect()
    }

    /// Chooses the drive under the cursor, or no longer; a third one takes the place of the first. Says why it cannot be
    /// chosen.
    pub fn toggle(&mut self, facts: &Facts) -> Option<String> {
        let disk = facts.disks.get(self.cursor)?;
        if let Some(at) = self.drives.iter().position(|i| *i == self.cursor) {
            self.drives.remove(at);
            return None;
        }
        if let Some(objection) = select::objections(facts, disk).first() {
            return Some(objection.to_string());
        }
        self.drives.push(self.cursor);
        if self.drives.len() > 2 {
            self.drives.remove(0);
        }
        None
    }

    /// What is typed in `node` is checked here as far as an answer file cannot say it.
    #[must_use]
    pub fn node_problem(&self) -> Option<String> {
        let differ = self.node.value("Password") != self.node.value("Password again");
        differ.then(|| "the two passwords differ".to_owned())
    }

    /// The answers, consenting to the loss of what is on the chosen drives.
    ///
    /// # Errors
    /// Everything wrong with them.
    pub fn answers(&self, facts: &Facts) -> Result<Answers, Problems> {
        let chosen = self.chosen(facts);
        let mirror =
            chosen.iter().map(|d| toml::Value::String(format!("path:{}", d.path.display()))).collect();
        let provision = self.provision()?;
        let filled = |form: &Form, label: &str| Some(form.value(label).to_owned()).filter(|v| !v.is_empty());
        let join = self.cluster.value("Cluster") == JOIN;
        Answers::try_from(AnswerFile {
            version: 1,
            node: Node { hostname: self.node.value("Host name").to_owned() },
            admin: Admin {
                password: filled(&self.node, "Password"),
                password_hash: None,
                ssh_keys: filled(&self.node, "SSH key").into_iter().collect(),
            },
            disks: Disks {
                mirror: toml::Value::Array(mirror),
                consent: chosen.iter().map(|disk| consent::token(disk)).collect(),
            },
            network: network::network(&self.network, &facts.nics)?,
            time: Time::default(),
            cluster: Cluster {
                mode: if join { Mode::Join } else { Mode::Create },
                name: filled(&self.cluster, "Name"),
                masters: filled(&self.cluster, "Master").map(|m| vec![m]),
                ca_sha256: filled(&self.cluster, "CA digest").map(|d| d.to_lowercase()),
                secret: filled(&self.cluster, "Secret"),
                token: None,
            },
            provision,
            install: Install::default(),
        })
    }

    fn provision(&self) -> Result<Option<Provision>, Problems> {
        if self.cluster.value("Install others") != YES {
            return Ok(None);
        }
        let missing = |key: &str| problem(key, "is missing");
        Ok(Some(Provision {
            pool_start: parsed(&self.cluster, "First address")?.ok_or_else(|| missing("First address"))?,
            pool_end: parsed(&self.cluster, "Last address")?.ok_or_else(|| missing("Last address"))?,
            router: None,
        }))
    }
}

/// What says who this machine was.
fn witness(facts: &Facts, previous: &PreviousNode) -> String {
    let disk = facts.disks.iter().find(|disk| disk.contents.previous.as_ref() == Some(previous));
    disk.map_or_else(
        || "the receipt on the install medium".to_owned(),
        |disk| format!("its drive {}", disk.name),
    )
}

fn is_free(facts: &Facts, disk: &Disk) -> bool {
    let fixed = !disk.removable && disk.transport != "usb";
    fixed && disk.contents.is_free() && select::objections(facts, disk).is_empty()
}

fn problem(key: &str, reason: &str) -> Problems {
    Problems(vec![Problem { line: None, key: key.to_owned(), reason: reason.to_owned() }])
}

/// An address in a field; `None` where it is empty.
fn parsed<T: std::str::FromStr>(form: &Form, label: &str) -> Result<Option<T>, Problems> {
    let text = form.value(label);
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| problem(label, &format!("`{text}` is no address")))
}

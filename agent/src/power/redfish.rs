//! A management controller by Redfish (DMTF DSP0266), with the calls that are needed and no more: service root, session,
//! systems, one system, its boot override, its reset action, a task that takes long. Controllers differ in all of them;
//! what is known about that, each a row of a test:
//!
//! | what some controllers do | what is done about it |
//! | --- | --- |
//! | want `If-Match` with the ETag on `PATCH` | it is sent whenever there is one, from the header or `@odata.etag`; fetched anew after 412 |
//! | want `If-Match` and give no ETag (428) | `If-Match: *` |
//! | answer `PATCH` with 200, 202 or 204 | any 2xx counts, and what is read back decides |
//! | have their system elsewhere than at `Systems/1` | the collection says where |
//! | have several systems (sleds, blades) | the one named in the settings, else the one with the machine's UUID |
//! | know other reset types, or name them in an `ActionInfo` | the first of ours that they allow |
//! | refuse `BootSourceOverrideMode` | once more without it, with a note |
//! | take the override only for ever, not once | that, with a note: the install master ends the loop |
//! | take the override only at a settings object (405 at the system) | there |
//! | say OK and keep the old boot device | read back, several times; then an error |
//! | answer 202 and a task | its monitor is polled; one that vanishes is over |
//! | answer 503 while they start | asked again, within bounds |
//! | have no free session, or no session service | HTTP Basic |
//! | want a password even for the service root | asked again with Basic |
//! | show a certificate of their own making | the first one is kept (or the one that was set), any other is refused before the password is sent |
//! | redirect `/redfish/v1` to `/redfish/v1/` | followed on the same host only |
//! | tell `PoweringOn` for minutes | counts as on |

mod answers;
mod http;
mod tls;
mod wire;

use std::time::Duration;

use maekin_api::power::{Action, Done, Power};
use serde_json::{Value, json};

use super::drive::{Controller, Pace, Steps, Switch, drive};
use super::errors::BmcError;
use super::settings::RedfishWay;
use answers::{BootPatch, Chosen, check_boot, choose_member, choose_reset, plan_boot, power_of};
use http::Http;
use wire::Answer;

/// Where every service begins, DSP0266 section 6.2.
const ROOT: &str = "/redfish/v1/";
/// Systems of one controller that are looked at.
const SYSTEMS: usize = 32;
/// How often a task or a changed boot override is looked at.
const LOOKS: u32 = 8;
/// How long the end of a session may take; what was asked for is done by then.
const LOGOUT: Duration = Duration::from_secs(3);

/// SHA-256 of the certificate that the controller shows. Nothing is sent to it.
///
/// # Errors
/// [`BmcError`].
pub(super) async fn certificate(way: &RedfishWay) -> Result<String, BmcError> {
    http::certificate(way).await
}

/// Does `action`. `uuid` is the machine's, where its installer told it.
///
/// # Errors
/// [`BmcError`].
pub(super) async fn act(
    way: &RedfishWay,
    uuid: Option<&str>,
    action: Action,
    pace: &Pace,
    steps: &Steps,
) -> Result<Done, BmcError> {
    steps.set("connecting to it");
    let mut http = Http::new(way, *pace)?;
    let outcome = async {
        let root = open_session(&mut http).await?;
        steps.set("finding the system");
        let system = find_system(&http, &root, uuid).await?;
        drive(&mut Redfish { http: &http, system }, action, pace, steps).await
    };
    let outcome = outcome.await;
    // Sessions are few, and outlive their connections.
    if tokio::time::timeout(LOGOUT, http.logout()).await.is_err() {
        tracing::debug!(address = http.address(), "power: the session was not ended in time");
    }
    outcome
}

/// Reads the service root and logs in.
async fn open_session(http: &mut Http) -> Result<Value, BmcError> {
    let mut root = http.get(ROOT).await?;
    if root.status == 401 {
        http.use_basic();
        root = http.get(ROOT).await?;
    }
    let root = http.json(ROOT, root)?;
    let sessions = http.link(&root, "/Links/Sessions/@odata.id")?;
    match sessions {
        Some(path) if !http.logged_in() => http.login(&path).await?,
        _ => http.use_basic(),
    }
    Ok(root)
}

/// The path of the system that is meant.
async fn find_system(http: &Http, root: &Value, uuid: Option<&str>) -> Result<String, BmcError> {
    let systems = http.link(root, "/Systems/@odata.id")?.unwrap_or_else(|| "/redfish/v1/Systems".to_owned());
    let collection = http.json(&systems, http.get(&systems).await?)?;
    let mut members = Vec::new();
    for member in collection["Members"].as_array().into_iter().flatten().take(SYSTEMS) {
        members.extend(http.link(member, "/@odata.id")?);
    }
    let missing = |missing: String| BmcError::NoSystem {
        address: http.address(),
        missing,
        have: members.iter().map(|path| super::errors::told(path, &[])).collect(),
    };
    match choose_member(&members, http.wanted_system()) {
        Chosen::This(path) => Ok(path),
        Chosen::None(why) => Err(missing(why)),
        Chosen::ByUuid => {
            for path in &members {
                let system = http.json(path, http.get(path).await?)?;
                let own = system["UUID"].as_str().unwrap_or_default();
                if uuid.is_some_and(|uuid| crate::install::identity::same_board(own, uuid)) {
                    return Ok(path.clone());
                }
            }
            Err(missing("several systems, and none with this machine's UUID".to_owned()))
        }
    }
}

/// One system of a controller.
struct Redfish<'a> {
    http: &'a Http,
    system: String,
}

impl Redfish<'_> {
    async fn read(&self) -> Result<(Value, Option<String>), BmcError> {
        let answer = self.http.get(&self.system).await?;
        let etag = answer.etag.clone();
        let value = self.http.json(&self.system, answer)?;
        let etag = etag.or_else(|| value["@odata.etag"].as_str().map(str::to_owned));
        Ok((value, etag))
    }

    /// `PATCH`es, with whatever condition the controller wants.
    async fn patch(&self, path: &str, body: &Value, etag: Option<String>) -> Result<Answer, BmcError> {
        let mut answer = self.http.send("PATCH", path, body, etag.as_deref()).await?;
        if answer.status == 412 {
            let again = self.http.get(path).await?;
            let etag = again
                .etag
                .clone()
                .or_else(|| again.body.as_ref().and_then(|v| v["@odata.etag"].as_str()).map(str::to_owned));
            answer = self.http.send("PATCH", path, body, etag.as_deref()).await?;
        } else if answer.status == 428 {
            answer = self.http.send("PATCH", path, body, Some("*")).await?;
        }
        Ok(answer)
    }

    /// Waits for the task behind a 202; other answers are over already.
    async fn finish(&self, what: &str, answer: Answer) -> Result<(), BmcError> {
        if !answer.good() {
            return Err(self.http.refusal(what, &answer));
        }
        let Some(monitor) = (answer.status == 202).then_some(answer.location).flatten() else {
            return Ok(());
        };
        let monitor = self.http.local(&monitor)?;
        for _ in 0..LOOKS {
            let task = self.http.get(&monitor).await?;
            let state = task.body.as_ref().and_then(|v| v["TaskState"].as_str()).unwrap_or_default();
            match (task.status, state) {
                (_, "Exception" | "Killed" | "Cancelled") => return Err(self.http.refusal(what, &task)),
                (404 | 410, _) | (_, "Completed") => return Ok(()),
                (202, _) | (_, "New" | "Pending" | "Running" | "Starting") => {}
                _ if task.good() => return Ok(()),
                _ => return Err(self.http.refusal(what, &task)),
            }
            tokio::time::sleep(self.http.pace().pause).await;
        }
        Ok(()) // it takes longer than we wait; what is read back decides
    }

    /// Sets the override at the system, or at its settings object. Answers where it was taken.
    async fn set_override(
        &self,
        system: &Value,
        etag: Option<String>,
        body: &Value,
    ) -> Result<(String, Answer), BmcError> {
        let answer = self.patch(&self.system, body, etag).await?;
        let settings = self.http.link(system, "/@Redfish.Settings/SettingsObject/@odata.id")?;
        if let Some(path) = settings.filter(|_| matches!(answer.status, 404 | 405 | 501)) {
            let etag = self.http.get(&path).await?.etag;
            return Ok((path.clone(), self.patch(&path, body, etag).await?));
        }
        Ok((self.system.clone(), answer))
    }
}

impl Controller for Redfish<'_> {
    fn address(&self) -> String {
        self.http.address()
    }

    async fn power(&mut self) -> Result<Power, BmcError> {
        Ok(power_of(&self.read().await?.0))
    }

    async fn netboot_once(&mut self) -> Result<Vec<String>, BmcError> {
        let what = "set the boot from the network";
        let refuse = |why| BmcError::Refused { address: self.address(), what: what.to_owned(), why };
        let (system, etag) = self.read().await?;
        let BootPatch { body, without_mode, mut notes } =
            plan_boot(&system, self.http.firmware()).map_err(refuse)?;
        let (mut place, mut answer) = self.set_override(&system, etag, &body).await?;
        if let Some(body) = without_mode.filter(|_| answer.status == 400) {
            let (_, etag) = self.read().await?;
            (place, answer) = self.set_override(&system, etag, &body).await?;
            notes.push("the controller does not let the kind of start (UEFI or BIOS) be set".to_owned());
        }
        self.finish(what, answer).await?;
        let mut found = String::new();
        for _ in 0..LOOKS {
            let at = self.http.json(&place, self.http.get(&place).await?)?;
            match check_boot(&at, self.http.firmware()) {
                Ok(more) => {
                    notes.extend(more);
                    return Ok(notes);
                }
                Err(other) => found = other,
            }
            tokio::time::sleep(self.http.pace().pause).await;
        }
        Err(BmcError::Lied { address: self.address(), what: what.to_owned(), found })
    }

    async fn switch(&mut self, to: Switch) -> Result<(), BmcError> {
        let what = match to {
            Switch::On => "switch the machine on",
            Switch::Off => "switch the machine off",
            Switch::Restart => "start the machine anew",
        };
        let (system, _) = self.read().await?;
        let reset = &system["Actions"]["#ComputerSystem.Reset"];
        let info = match self.http.link(reset, "/@Redfish.ActionInfo")? {
            Some(path) => self.http.get(&path).await?.body.unwrap_or(Value::Null),
            None => Value::Null,
        };
        let kind = choose_reset(to, reset, &info).map_err(|why| BmcError::Refused {
            address: self.address(),
            what: what.to_owned(),
            why,
        })?;
        let target = self.http.link(reset, "/target")?;
        let target = target
            .unwrap_or_else(|| format!("{}/Actions/ComputerSystem.Reset", self.system.trim_end_matches('/')));
        let answer = self.http.send("POST", &target, &json!({ "ResetType": kind }), None).await?;
        self.finish(what, answer).await
    }
}

#[cfg(test)]
pub(in crate::power) mod tests;

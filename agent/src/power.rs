//! Power of machines: switched on, off and into a boot from the network, through their management controllers or by a
//! packet that wakes them. Every action is bounded in time, has one at a time on a machine, and is logged with who asked
//! and what came of it; passwords are opened only for the controller they were given for.
//!
//! | module | job |
//! | --- | --- |
//! | [`settings`] | what a person may set, checked (pure) |
//! | [`store`] | settings in the record, the password sealed |
//! | [`mod@drive`] | what an action means, for any controller: state, boot device, switch, look again |
//! | [`ipmi`] | a controller by `ipmitool` |
//! | [`redfish`] | a controller by HTTP |
//! | [`wol`] | the packet that wakes |
//! | [`errors`] | what can go wrong, in words |

pub(crate) mod drive;
pub(crate) mod errors;
mod ipmi;
mod redfish;
pub(crate) mod settings;
pub(crate) mod store;
mod wol;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maekin_api::power::{Act, Action, Done, LastAction, Power};
use maekin_host::links::probe_links;
use tokio::sync::Semaphore;

use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::install::identity::same_board;
use crate::node_info::own_address;
use crate::record::keys::{self, under};
use crate::record::values::{MachineValue, NodeValue};
use crate::record::{Record, RecordError};
use drive::{Pace, Steps, drive};
use errors::{BmcError, PowerError};
use settings::Way;

/// Longest time of one action, its reading back included. Less than a request to the API may take.
const WHOLE: Duration = Duration::from_secs(50);
/// Actions at once on this node: a rack may be switched on together, but not by a thousand processes.
const PLACES: usize = 16;

/// What is under way.
pub(crate) struct Engine {
    busy: Mutex<BTreeSet<String>>,
    places: Semaphore,
}

impl Default for Engine {
    fn default() -> Self {
        Self { busy: Mutex::default(), places: Semaphore::new(PLACES) }
    }
}

impl Engine {
    /// A place for an action on `mac`; `None` while there is one already.
    fn begin(&self, mac: &str) -> Option<Busy<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(mac.to_owned()).then(|| Busy { engine: self, mac: mac.to_owned() })
    }
}

/// An action on a machine is under way for as long as this lives.
struct Busy<'a> {
    engine: &'a Engine,
    mac: String,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.engine.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mac);
    }
}

/// Does what `act` says to the machine of `mac`, and writes down who asked and what came of it. Goes on to its end when
/// the caller does not wait for it.
///
/// # Errors
/// [`PowerError`].
pub(crate) async fn act(app: &Arc<App>, mac: &str, act: Act, by: String) -> Result<Done, PowerError> {
    settings::check_mac(mac)?;
    let (app, mac) = (Arc::clone(app), mac.to_owned());
    let work = tokio::spawn(async move { carry_out(&app, &mac, act, &by).await });
    work.await.map_err(|e| PowerError::Lost(e.to_string()))?
}

async fn carry_out(app: &App, mac: &str, act: Act, by: &str) -> Result<Done, PowerError> {
    let _busy = app.power.begin(mac).ok_or_else(|| PowerError::Busy(mac.to_owned()))?;
    let member = app.member().map_err(|_| PowerError::NoMember)?;
    let found = store::get(&member.record, mac).await?;
    guard(&member, mac, act).await?;
    tracing::info!(mac, action = %act.action, by, method = ?found.value.settings.method, "power: asked for");
    let outcome = match store::open(&member, &found.value) {
        Ok(way) => attempt(app, &member, mac, &way, act.action).await,
        Err(e) => Err(e),
    };
    let (done, text) = match &outcome {
        Ok(done) => (true, done.outcome.clone()),
        Err(e) => (false, chain(e)),
    };
    if done {
        tracing::info!(mac, action = %act.action, by, outcome = text, "power: done");
    } else {
        tracing::warn!(mac, action = %act.action, by, outcome = text, "power: not done");
    }
    let last = LastAction { action: act.action, by: by.to_owned(), at: now(), done, outcome: text };
    if let Err(e) = store::note(&member.record, mac, last).await {
        tracing::warn!(mac, error = %chain(&e), "power: the outcome was not written down");
    }
    outcome
}

/// The member that the machine of `mac` is.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn member_at(record: &Record, mac: &str) -> Result<Option<NodeValue>, RecordError> {
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    let machine = record.get::<MachineValue>(&under(keys::MACHINES, mac)).await?;
    let uuid = machine.and_then(|m| m.value.uuid).unwrap_or_default();
    let is_it = |n: &NodeValue| n.mac == mac || same_board(&n.machine, &uuid);
    Ok(nodes.into_iter().map(|n| n.value).find(is_it))
}

/// A member that is alive runs machines of others: it is not switched off by a slip of the hand.
async fn guard(member: &Member, mac: &str, act: Act) -> Result<(), PowerError> {
    let harmless = matches!(act.action, Action::Status | Action::On);
    if act.force || harmless {
        return Ok(());
    }
    let Some(node) = member_at(&member.record, mac).await? else { return Ok(()) };
    if member.record.names(keys::ALIVE).await?.contains(&node.id) {
        return Err(PowerError::Alive { name: node.name, action: act.action });
    }
    Ok(())
}

async fn attempt(
    app: &App,
    member: &Member,
    mac: &str,
    way: &Way,
    action: Action,
) -> Result<Done, PowerError> {
    let steps = Steps::default();
    let late = |_| {
        let (address, step) = (way.address(), steps.now());
        PowerError::Bmc(BmcError::TooSlow { address, step, seconds: WHOLE.as_secs() })
    };
    let work = async {
        let turn = app.power.places.acquire().await;
        let _turn = turn.map_err(|e| PowerError::Lost(e.to_string()))?;
        match way {
            Way::WakeOnLan(wake) => Ok(wol::act(wake, &default_interface(app), action).await?),
            Way::Ipmi(settings) => {
                let mut controller = ipmi::Ipmi::new(settings.clone());
                Ok(drive(&mut controller, action, &Pace::REAL, &steps).await?)
            }
            Way::Redfish(settings) => {
                let mut settings = settings.clone();
                if settings.certificate_sha256.is_none() && !settings.plain_http {
                    steps.set("looking at its certificate for the first time");
                    let shown = redfish::certificate(&settings).await?;
                    store::pin(&member.record, mac, &shown).await?;
                    tracing::warn!(
                        mac,
                        certificate = shown,
                        "power: this certificate is trusted from now on"
                    );
                    settings.certificate_sha256 = Some(shown);
                }
                let machine = member.record.get::<MachineValue>(&under(keys::MACHINES, mac)).await?;
                let uuid = machine.and_then(|m| m.value.uuid);
                Ok(redfish::act(&settings, uuid.as_deref(), action, &Pace::REAL, &steps).await?)
            }
        }
    };
    tokio::time::timeout(WHOLE, work).await.map_err(late)?
}

/// The interface of the cluster's network, which machines boot from; empty where it has none.
fn default_interface(app: &App) -> String {
    let links = probe_links().unwrap_or_default();
    own_address(&app.network.in_force(), &links).map(|own| own.interface).unwrap_or_default()
}

/// In words.
fn power_word(power: Power) -> &'static str {
    match power {
        Power::On => "on",
        Power::Off => "off",
        Power::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests;

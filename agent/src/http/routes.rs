//! What can be asked.
//!
//! | module | job |
//! | --- | --- |
//! | [`access`] | who asks, the audit log |
//! | [`node`] | this node |
//! | [`boot_drives`] | this node's boot drives |
//! | [`cluster`] | the cluster and its members |
//! | [`install`] | install window, installations, invites, joining |
//! | [`nodes`] | the members and how they are |
//! | [`provision`] | what install masters hand out |
//! | [`addresses`] | the install master's addresses, on the socket only |
//! | [`power`] | power of machines |
//! | [`record`] | the record as a store |
//! | [`machines`] | machines that asked to boot: seen, let in, told no |
//! | [`settings`] | how members shall be, and how far that is so |
//! | [`boot`] | the install master's questions, on the socket only |
//!
//! Those of tasks, of drives, of storage and volumes, and of who is let in are beside what they are about: [`tasks`],
//! [`drives`], [`storage`], [`volumes`], [`trust`].

mod access;
mod addresses;
mod boot;
mod boot_drives;
mod cluster;
pub(crate) mod install;
mod machines;
mod node;
mod nodes;
mod power;
mod provision;
mod record;
mod settings;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use maekin_api as api;
use maekin_api::access::Role::{Admin, Operator, Viewer};
use serde::de::DeserializeOwned;

pub(crate) use machines::who;

use super::error::ApiError;
use super::request;
use super::table::{Op, delete, get, group, patch, post, put, router};
use super::watch;
use crate::app::App;
use crate::discovery::routes as discovery;
use crate::drives::routes as drives;
use crate::network::routes as network;
use crate::storage::routes as storage;
use crate::tasks::routes as tasks;
use crate::trust::routes as trust;
use crate::volumes::routes as volumes;

/// Largest body of a request, bytes.
const BODY: usize = 64 << 10;
/// Largest report of an installer (it carries a receipt with its log), bytes; the install master passes on no more.
const REPORT: usize = 4 << 20;
/// Largest facts of a machine, bytes, with who it is around them.
const FACTS: usize = api::machine::FACTS + (64 << 10);
/// Largest list of machines that are let in, bytes.
const LIST: usize = 1 << 20;
/// Media type of a list as CSV.
const CSV: &str = "text/csv";

/// What `GET /v1/watch` may be asked.
const WATCH_QUERIES: &[(&str, &str)] = &[
    ("kinds", "Kinds of things, with commas between; all that one may watch where it is left out."),
    ("after", "As `Last-Event-ID`, for whoever cannot send that."),
];

/// What `GET /v1/tasks` may be asked besides its pages.
const TASK_QUERIES: &[(&str, &str)] =
    &[("state", "States with commas between, e.g. `waiting,running`; all where it is left out.")];

/// What is served over HTTPS.
#[allow(clippy::needless_pass_by_value)] // it is handed over to the router
pub(crate) fn public(app: Arc<App>) -> Router {
    finish(router(&app, operations()))
}

/// What is served over the unix socket: the same, and what only this machine's own programs may ask.
#[allow(clippy::needless_pass_by_value)] // it is handed over to the router
pub(crate) fn socket(app: Arc<App>) -> Router {
    finish(router(&app, operations().into_iter().chain(internal()).collect()))
}

/// Everything that can be asked, with the least role that it takes.
#[rustfmt::skip] // a table
pub(crate) fn operations() -> Vec<Op> {
    [
        group("access", [
            get(api::WHOAMI, "whoAmI", Viewer, "Who asks, as the node knows it.", access::whoami)
                .answers::<api::access::WhoAmI>(),
            put(api::OWN_PASSWORD, "changeOwnPassword", Viewer, "Change one's own password.", access::own_password)
                .takes::<api::access::ChangePassword>().own(),
            get(api::USERS, "listUsers", Admin, "Users of the cluster.", access::users)
                .lists::<api::access::User>(),
            post(api::USERS, "createUser", Admin, "Make a user.", access::create_user)
                .takes::<api::access::NewUser>().answers::<api::access::User>(),
            get(api::USER, "getUser", Admin, "One user.", access::user)
                .answers::<api::access::User>().tagged(),
            put(api::USER, "setUser", Admin, "Change a user's role or password; needs `If-Match`.", access::set_user)
                .takes::<api::access::SetUser>().answers::<api::access::User>().tagged(),
            delete(api::USER, "deleteUser", Admin, "Delete a user and his tokens.", access::delete_user),
            get(api::TOKENS, "listTokens", Viewer, "One's own API tokens; to an admin all.", access::tokens)
                .lists::<api::access::Token>(),
            post(api::TOKENS, "createToken", Viewer, "Make an API token for oneself.", access::create_token)
                .takes::<api::access::NewToken>().answers::<api::access::MadeToken>().own(),
            get(api::TOKEN, "getToken", Viewer, "One API token.", access::token)
                .answers::<api::access::Token>(),
            delete(api::TOKEN, "deleteToken", Viewer, "End an API token.", access::delete_token).own(),
            get(api::AUDIT, "listAudit", Admin, "The audit log, the newest first.", access::audit)
                .lists::<api::audit::AuditEvent>(),
        ]),
        group("about", [
            get(api::OPENAPI, "getOpenApi", Viewer, "This document.", access::openapi).answers::<serde_json::Value>(),
            get(api::WATCH, "watch", Viewer, "Word of what changes, as server-sent events; `Last-Event-ID` goes on behind one.", watch::get)
                .queries(WATCH_QUERIES).answers_text("text/event-stream").endless(),
            get(api::METRICS, "metrics", Viewer, "What this node counts, as Prometheus text.", access::metrics).answers_text("text/plain"),
            get(api::HEALTH, "health", None, "Whether the agent serves.", async || "ok\n").answers_text("text/plain"),
        ]),
        group("node", [
            get(api::NODE, "getNode", Viewer, "This node about itself.", node::get)
                .answers::<api::node::Node>(),
            get(api::NODE_BOOT, "getBootDrives", Viewer, "This node's boot drives.", boot_drives::get)
                .answers::<api::boot_drives::BootDrives>(),
            get(api::NODE_BOOT_SETTINGS, "getBootDriveSettings", Viewer, "What the node does about its boot drives by itself.", boot_drives::settings)
                .answers::<api::boot_drives::Settings>(),
            put(api::NODE_BOOT_SETTINGS, "setBootDriveSettings", Operator, "Say what it shall do about them.", boot_drives::set)
                .takes::<api::boot_drives::Settings>().answers::<api::boot_drives::Settings>(),
            post(api::NODE_BOOT_HEAL, "healBootDrive", Operator, "Go ahead with the healing that the node offers, or try again now.", boot_drives::heal)
                .takes::<api::boot_drives::StartHeal>(),
            post(api::NODE_BOOT_COMPARE, "compareBootDrives", Operator, "Compare the halves of the mirrors now, byte by byte.", boot_drives::compare),
            post(api::NODE_BOOT_TRIAL, "tryBootDrive", Operator, "Restart into the boot drive that this start did not come from.", boot_drives::try_boot),
        ]),
        group("cluster", [
            get(api::CLUSTER, "getCluster", Viewer, "The cluster and its members.", cluster::get)
                .answers::<api::cluster::Cluster>(),
            get(api::RECORD, "getRecord", Viewer, "The cluster's record as a store, as the asked node sees it.", record::get)
                .answers::<api::record::Record>(),
            post(api::RECORD_BACKUPS, "backUpRecord", Operator, "Copy the record now, to the asked node, where it has changed.", record::backup)
                .answers::<api::record::Backups>(),
            get(api::NODES, "listNodes", Viewer, "The members and how they are, as this node sees them.", nodes::list)
                .lists::<api::nodes::NodeInfo>(),
            get(api::CLUSTER_NODE, "getNodeByName", Viewer, "One of them, by host name or id.", nodes::one)
                .answers::<api::nodes::NodeInfo>(),
            get(api::SETTINGS, "listNodeSettings", Viewer, "How the members shall be, and how far that is so.", settings::list)
                .lists::<api::settings::NodeSettingsObject>(),
            get(api::NODE_SETTINGS, "getNodeSettings", Viewer, "The same of one member.", settings::get)
                .answers::<api::settings::NodeSettingsObject>().tagged(),
            put(api::NODE_SETTINGS, "setNodeSettings", Operator, "Say how it shall be; an operator may change maintenance, roles and labels, an admin all.", settings::put)
                .takes::<api::settings::NodeSettings>().answers::<api::settings::NodeSettingsObject>().tagged(),
            patch(api::NODE_SETTINGS, "changeNodeSettings", Operator, "The same by a merge patch (RFC 7386): null takes a setting back to as installed.", settings::patch)
                .takes::<api::settings::NodeSettings>().answers::<api::settings::NodeSettingsObject>().tagged(),
            get(api::NODE_NETWORK, "getNodeNetwork", Viewer, "A member's network as it is, and the last trial of another one.", network::get)
                .answers::<api::network::NodeNetwork>(),
            post(api::NODE_NETWORK_CONFIRM, "confirmNodeNetwork", Admin, "Keep the network that a member tries.", network::confirm)
                .takes::<api::network::Decide>().answers::<api::network::NodeNetwork>(),
            post(api::NODE_NETWORK_REVERT, "revertNodeNetwork", Admin, "Have it put back the one before now.", network::revert)
                .takes::<api::network::Decide>().answers::<api::network::NodeNetwork>(),
            get(api::PROVISION, "getProvision", Viewer, "What the install masters hand out.", provision::get)
                .answers::<api::provision::Provision>().tagged(),
            put(api::PROVISION, "setProvision", Admin, "Say what they shall hand out.", provision::put)
                .takes::<api::provision::Provision>().answers::<api::provision::Provision>().tagged(),
            post(api::INVITES, "createInvite", Admin, "Make a one-time secret for a node that is installed by hand.", install::invite)
                .takes::<api::join::NewInvite>().answers::<api::join::Invite>(),
            post(api::JOIN, "join", None, "Ask to become a member, with a one-time secret or a join token.", install::join)
                .takes::<api::join::JoinRequest>().answers::<api::join::JoinReply>(),
            get(api::JOIN_TOKENS, "listJoinTokens", Admin, "Tokens that let nodes in.", trust::list)
                .lists::<api::trust::TokenInfo>(),
            post(api::JOIN_TOKENS, "createJoinToken", Admin, "Make one.", trust::create)
                .takes::<api::trust::NewToken>().answers::<api::trust::MadeToken>(),
            delete(api::JOIN_TOKEN, "deleteJoinToken", Admin, "Take one back.", trust::delete),
            post(api::CERTIFICATE, "renewCertificate", None, "Renew a member's certificate; its bearer shows the old one.", trust::renew)
                .takes::<api::trust::RenewRequest>().answers::<api::trust::RenewReply>(),
            post(api::SEAL_KEY, "getSealKey", Admin, "Give a member a sealing key of the cluster, by its digest; nobody else.", crate::sealed::rotation::pull::give)
                .takes::<api::trust::SealKeyRequest>().answers::<api::trust::SealKeyReply>(),
            delete(api::CLUSTER_NODE, "removeNode", Admin, "Remove a member: what it has is good for nothing from then on. One that has volumes only with `?force=true`.", trust::remove)
                .answers::<api::trust::RemovedNode>(),
            get(api::DISCOVERED, "listDiscovered", Viewer, "Nodes that wait to be let in, and other clusters, as this member hears them.", discovery::list)
                .lists::<api::discovery::Discovered>(),
            get(api::PAIRINGS, "listPairings", Admin, "Pairings that this node's console shows.", trust::pairings)
                .lists::<api::trust::PairingInfo>(),
            post(api::PAIRINGS, "beginPairing", Admin, "Begin a pairing with a node that waits.", trust::begin_pairing)
                .takes::<api::trust::NewPairing>().answers::<api::trust::PairingInfo>(),
            post(api::PAIRING_APPROVE, "approvePairing", Admin, "Say that the code is the same on the other console.", trust::approve_pairing),
            post(api::PAIRING_DENY, "denyPairing", Admin, "Say that it is not, or that nobody shall be let in.", trust::deny_pairing),
            post(api::NODE_PAIRING, "offerPairing", None, "Offer a cluster to this node, which waits.", trust::offered)
                .takes::<api::trust::PairingOffer>().answers::<api::trust::PairingBegun>().unaudited(),
            post(api::NODE_PAIRING_REVEAL, "revealPairing", None, "Show it the number that the code is made with.", trust::revealed)
                .takes::<api::trust::PairingNonce>().answers::<api::trust::PairingNonce>().unaudited(),
            post(api::NODE_PAIRING_TOKEN, "invitePairing", None, "Give it a token, once both sides said yes.", trust::invited)
                .takes::<api::trust::JoinWith>().unaudited(),
            post(api::NODE_JOIN, "joinWithToken", Admin, "Have this node, which is no member yet, join a cluster.", trust::join)
                .takes::<api::trust::JoinWith>(),
            post(api::NODE_LEAVE, "leaveCluster", Admin, "Have this node leave its cluster, forget it, and wait to be let in again.", trust::leave)
                .takes::<api::trust::Leave>().answers::<api::trust::RemovedNode>(),
        ]),
        group("tasks", [
            get(api::TASKS, "listTasks", Viewer, "Long work, the newest first.", tasks::list)
                .lists::<api::tasks::Task>().queries(TASK_QUERIES),
            post(api::TASKS, "createTask", Operator, "Have long work done; `Idempotency-Key` keeps a request that is sent twice from making two.", tasks::create)
                .takes::<api::tasks::NewTask>().answers::<api::tasks::Task>().accepted(),
            get(api::TASK, "getTask", Viewer, "One task.", tasks::one)
                .answers::<api::tasks::Task>(),
            get(api::TASK_LOG, "getTaskLog", Viewer, "Its log, the oldest line first.", tasks::log)
                .lists::<api::tasks::LogLine>(),
            post(api::TASK_CANCEL, "cancelTask", Operator, "Have a task end early.", tasks::cancel)
                .answers::<api::tasks::Task>(),
        ]),
        group("machines", [
            get(api::INSTALL_WINDOW, "getInstallWindow", Viewer, "Whether machines are let in without asking further.", install::window)
                .answers::<api::install::WindowState>(),
            post(api::INSTALL_WINDOW, "openInstallWindow", Operator, "Let machines in without asking further.", install::open_window)
                .takes::<api::install::OpenWindow>().answers::<api::install::WindowState>(),
            delete(api::INSTALL_WINDOW, "closeInstallWindow", Operator, "Let no more in.", install::close_window)
                .answers::<api::install::WindowState>(),
            get(api::INSTALLS, "listInstalls", Viewer, "Installations over the network.", install::list)
                .lists::<api::install::Install>(),
            get(api::INSTALL, "getInstall", Operator, "One installation.", install::one)
                .answers::<api::install::Install>(),
            delete(api::INSTALL, "forgetInstall", Operator, "Forget an installation.", install::forget),
            get(api::INSTALL_RECEIPT, "getInstallReceipt", Operator, "What the installer left.", install::receipt)
                .answers::<serde_json::Value>(),
            post(api::REINSTALL, "reinstallNode", Operator, "Have a member's machine installed anew when it next boots from the network. One that has volumes only with `?force=true`: they are lost.", install::reinstall)
                .answers::<api::install::Reinstall>(),
            delete(api::REINSTALL, "withdrawReinstall", Operator, "Take that back.", install::withdraw),
            get(api::MACHINES, "listMachines", Viewer, "Machines that asked to boot.", machines::list)
                .lists::<api::install::SeenMachine>(),
            get(api::MACHINE, "getMachine", Viewer, "One of them, by hardware address or code, with its facts.", machines::one)
                .answers::<api::install::MachineDetail>(),
            post(api::MACHINE_APPROVE, "approveMachine", Operator, "Let a machine in.", machines::approve)
                .takes::<api::install::Terms>().answers::<api::install::Install>(),
            post(api::MACHINE_DENY, "denyMachine", Operator, "Tell a machine no.", machines::deny)
                .takes::<api::install::Deny>().answers::<api::install::SeenMachine>(),
            get(api::APPROVALS, "getApprovals", Viewer, "Machines that are let in without asking further.", machines::rules)
                .answers::<Vec<api::install::Rule>>().tagged(),
            put(api::APPROVALS, "setApprovals", Operator, "Replace that list.", machines::set_rules)
                .takes::<Vec<api::install::Rule>>().answers::<Vec<api::install::Rule>>().tagged().up_to(LIST),
            get(api::APPROVALS_CSV, "getApprovalsCsv", Viewer, "The same list as CSV.", machines::csv).answers_text(CSV).tagged(),
            put(api::APPROVALS_CSV, "setApprovalsCsv", Operator, "Replace that list, from CSV.", machines::set_csv)
                .takes_text(CSV).answers::<Vec<api::install::Rule>>().tagged().up_to(LIST),
        ]),
        group("storage", [
            get(api::DRIVES, "listDrives", Viewer, "The drives of the rack, as each node told of its own.", drives::list)
                .lists::<api::drives::Drive>(),
            get(api::DRIVE, "getDrive", Viewer, "One of them, by its id or its serial number.", drives::one)
                .answers::<api::drives::Drive>(),
            post(api::DRIVE_TAKE, "takeDrive", Operator, "Consent that storage has it; also takes back that it was to be retired.", drives::take)
                .takes::<api::drives::Take>().answers::<api::drives::Drive>(),
            post(api::DRIVE_LOCATE, "locateDrive", Operator, "Let the light of its bay blink, or no longer.", drives::locate)
                .takes::<api::drives::Locate>().answers::<api::drives::Located>(),
            post(api::DRIVE_RETIRE, "retireDrive", Operator, "Have it emptied, so that it can be pulled.", drives::retire)
                .takes::<api::drives::Retire>().answers::<api::tasks::Task>().accepted(),
            get(api::STORAGE_POLICY, "getStoragePolicy", Viewer, "What nodes do by themselves about drives that nobody uses.", drives::policy)
                .answers::<api::drives::StoragePolicy>().tagged(),
            put(api::STORAGE_POLICY, "setStoragePolicy", Operator, "Say what they shall do.", drives::set_policy)
                .takes::<api::drives::StoragePolicy>().answers::<api::drives::StoragePolicy>().tagged(),
        ]),
        group("volumes", [
            get(api::STORAGE, "getStorage", Viewer, "Storage of the cluster, by class and by node.", storage::get)
                .answers::<api::storage::Storage>(),
            get(api::VOLUMES, "listVolumes", Viewer, "Volumes, and how they are.", volumes::list)
                .lists::<api::volumes::Volume>().queries(volumes::QUERIES),
            post(api::VOLUMES, "createVolume", Operator, "Have a volume made.", volumes::create)
                .takes::<api::volumes::NewVolume>().answers::<api::volumes::Volume>(),
            get(api::VOLUME, "getVolume", Viewer, "One volume.", volumes::one)
                .answers::<api::volumes::Volume>().tagged(),
            patch(api::VOLUME, "changeVolume", Operator, "Have it grow, or change its limits, by a merge patch (RFC 7386): null takes a limit away.", volumes::change)
                .takes::<api::volumes::ChangeVolume>().answers::<api::volumes::Volume>().tagged(),
            delete(api::VOLUME, "deleteVolume", Operator, "Have it go, with what is on it; it is gone once its nodes say so.", volumes::delete)
                .answers::<Option<api::volumes::Volume>>().tagged().queries(volumes::DELETE_QUERIES),
            get(api::VOLUME_SNAPSHOTS, "listVolumeSnapshots", Viewer, "Its snapshots.", volumes::snapshots)
                .lists::<api::volumes::Snapshot>(),
            post(api::VOLUME_SNAPSHOTS, "createVolumeSnapshot", Operator, "Keep what it has now.", volumes::create_snapshot)
                .takes::<api::volumes::NewSnapshot>().answers::<api::volumes::Snapshot>(),
            get(api::VOLUME_SNAPSHOT, "getVolumeSnapshot", Viewer, "One of them.", volumes::one_snapshot)
                .answers::<api::volumes::Snapshot>(),
            delete(api::VOLUME_SNAPSHOT, "deleteVolumeSnapshot", Operator, "Have it go.", volumes::delete_snapshot),
            post(api::VOLUME_CLONE, "cloneVolume", Operator, "Have another volume made that begins with what this one has, or a snapshot of it.", volumes::clone)
                .takes::<api::volumes::CloneVolume>().answers::<api::volumes::Volume>(),
            post(api::VOLUME_ATTACH, "attachVolume", Operator, "Let one node use it, and no other.", volumes::attach)
                .takes::<api::volumes::AttachVolume>().answers::<api::volumes::Volume>().tagged(),
            post(api::VOLUME_DETACH, "detachVolume", Operator, "Have it used no longer.", volumes::detach)
                .takes::<api::volumes::DetachVolume>().answers::<api::volumes::Volume>().tagged(),
        ]),
        group("power", [
            get(api::POWER, "listPower", Viewer, "Machines whose power can be switched.", power::list)
                .lists::<api::power::PowerInfo>(),
            get(api::MACHINE_POWER, "getPower", Viewer, "How one machine is switched.", power::get)
                .answers::<api::power::PowerInfo>().tagged(),
            put(api::MACHINE_POWER, "setPower", Admin, "Say how it is switched.", power::set)
                .takes::<api::power::SetPower>().answers::<api::power::PowerInfo>().tagged(),
            delete(api::MACHINE_POWER, "forgetPower", Admin, "Forget how it is switched.", power::forget),
            post(api::MACHINE_POWER, "actPower", Operator, "Switch it.", power::act)
                .takes::<api::power::Act>().answers::<api::power::Done>(),
        ]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What only this machine's own programs may ask, over the socket.
#[rustfmt::skip] // a table
fn internal() -> Vec<Op> {
    group("internal", [
        get(api::network::OWN, "getOwnNetwork", Admin, "This node's network and its trial.", network::own),
        put(api::network::OWN, "setOwnNetwork", Admin, "Try another network on this node.", network::set).takes::<api::network::SetNetwork>(),
        post(api::boot::DECIDE, "decide", Admin, "What a machine shall boot.", boot::decide).unaudited(),
        get(api::addresses::ADDRESSES, "getAddresses", Admin, "Which machine has which address.", addresses::get),
        post(api::addresses::ADDRESSES, "setAddresses", Admin, "Write that.", addresses::write).up_to(REPORT).unaudited(),
        post(api::boot::VERDICT, "verdict", Admin, "What a machine that waits is told.", boot::verdict).unaudited(),
        post(api::boot::INVENTORY, "inventory", Admin, "What a machine is.", boot::inventory).up_to(FACTS).unaudited(),
        post(api::boot::ANSWER, "answer", Admin, "The answers of a ticket.", boot::answer).up_to(FACTS).unaudited(),
        post(api::boot::REPORT, "report", Admin, "How an installation goes.", boot::report).up_to(REPORT).unaudited(),
    ])
}

fn finish(router: Router) -> Router {
    router
        .fallback(async || {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "There is no such resource",
                "see /v1/node, /v1/cluster",
            )
        })
        .method_not_allowed_fallback(async || {
            let title = "The resource does not take this method";
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, "see the Allow header")
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn(request::name))
}

/// The body of a request, or why it was not read.
pub(crate) type Body = Result<Bytes, BytesRejection>;

#[allow(clippy::needless_pass_by_value)] // as map_err hands it over
fn unread(e: BytesRejection) -> ApiError {
    let kind = if e.status() == StatusCode::PAYLOAD_TOO_LARGE { "too-large" } else { "bad-request" };
    ApiError::new(e.status(), kind, "The body of the request was not read", e.body_text())
}

/// The body as it came.
///
/// # Errors
/// The answer to give instead.
pub(crate) fn read(body: Body) -> Result<Bytes, ApiError> {
    body.map_err(unread)
}

pub(crate) fn parse<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    parse_bytes(&read(body)?)
}

/// JSON as what it should be.
///
/// # Errors
/// The answer to give instead.
pub(crate) fn parse_bytes<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|e| ApiError::bad_request(format!("the body is not what was expected: {e}")))
}

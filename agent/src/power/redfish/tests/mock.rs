//! A controller of our own making, with the quirks that real ones have, each to be switched on.

mod quirks;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::super::settings::RedfishWay;
use crate::http::auth::Peer;
use crate::http::server::{self, TlsSlot};
use crate::pki::identity::NodeKey;
use crate::tls;

pub(in crate::power) use quirks::Quirks;

pub(in crate::power) const USER: &str = "root";
pub(in crate::power) const PASSWORD: &str = "calvin&hobbes";
const TOKEN: &str = "token-1234";

/// The machine behind it, and what was asked.
#[derive(Default)]
pub(in crate::power) struct Machine {
    pub(in crate::power) on: bool,
    pub(in crate::power) boot: Value,
    /// Reset types, in their order.
    pub(in crate::power) resets: Vec<String>,
    pub(in crate::power) sessions: i32,
    /// Requests that carried the password or a token.
    pub(in crate::power) trusted: u32,
    pub(in crate::power) requests: u32,
    busy: u32,
    task: u32,
    etag: u32,
}

/// A running controller.
pub(in crate::power) struct Mock {
    quirks: Quirks,
    machine: Mutex<Machine>,
    pub(in crate::power) port: u16,
}

/// Starts one that speaks plain HTTP, or TLS with the certificate of `key`.
pub(in crate::power) async fn start(quirks: Quirks, key: Option<&NodeKey>) -> Arc<Mock> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let boot = json!({ "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None",
        "BootSourceOverrideMode": "UEFI" });
    let machine = Machine { busy: quirks.busy, boot, ..Machine::default() };
    let port = listener.local_addr().unwrap().port();
    let mock = Arc::new(Mock { quirks, machine: Mutex::new(machine), port });
    let router = Router::new().fallback(answer).with_state(Arc::clone(&mock));
    if let Some(key) = key {
        let slot = TlsSlot::new(tls::stranger(key, &key.self_signed("bmc").unwrap()).unwrap());
        tokio::spawn(server::serve_tls(listener, slot, router.layer(axum::Extension(Peer::Root))));
    } else {
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    mock
}

impl Mock {
    pub(in crate::power) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap()
    }

    /// How it is reached in plain HTTP.
    pub(in crate::power) fn way(&self) -> RedfishWay {
        RedfishWay {
            host: "127.0.0.1".into(),
            port: self.port,
            user: USER.into(),
            password: PASSWORD.to_owned().into(),
            firmware: None,
            system: String::new(),
            certificate_sha256: None,
            plain_http: true,
        }
    }

    fn system(&self, id: &str, uuid: &str, machine: &Machine) -> Value {
        let q = &self.quirks;
        let path = format!("/redfish/v1/Systems/{id}");
        let target = q.target_at.clone().unwrap_or_else(|| format!("{path}/Actions/ComputerSystem.Reset"));
        let on = machine.on && id == q.ours;
        let state = match (on, q.powering_on) {
            (true, true) => "PoweringOn",
            (true, false) => "On",
            (false, _) => "Off",
        };
        let mut boot = machine.boot.clone();
        if let Some(targets) = q.targets {
            boot["BootSourceOverrideTarget@Redfish.AllowableValues"] = json!(targets);
        }
        if q.only_continuous {
            boot["BootSourceOverrideEnabled@Redfish.AllowableValues"] = json!(["Disabled", "Continuous"]);
        }
        let mut reset = json!({ "target": target });
        if let Some(resets) = q.resets.filter(|_| !q.action_info) {
            reset["ResetType@Redfish.AllowableValues"] = json!(resets);
        }
        if q.action_info {
            reset["@Redfish.ActionInfo"] = format!("{path}/ResetActionInfo").into();
        }
        let mut system = json!({ "@odata.id": path, "Id": id, "UUID": uuid, "PowerState": state, "Boot": boot,
            "Actions": { "#ComputerSystem.Reset": reset } });
        if q.settings_object {
            system["@Redfish.Settings"] = json!({ "SettingsObject": { "@odata.id": format!("{path}/SD") } });
        }
        system
    }
}

fn error(status: u16, words: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let body = json!({ "error": { "code": "Base.1.0.GeneralError", "message": "see extended info",
        "@Message.ExtendedInfo": [{ "Message": words }] } });
    (status, Json(body)).into_response()
}

fn bare(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

fn located(status: u16, location: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("location", location.to_owned())], Body::empty())
        .into_response()
}

async fn answer(State(mock): State<Arc<Mock>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header =
        |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let carries = !header("authorization").is_empty() || !header("x-auth-token").is_empty();
    let known = header("authorization") == basic || header("x-auth-token") == TOKEN;
    let body: Value = serde_json::from_slice(&to_bytes(body, 1 << 16).await.unwrap()).unwrap_or(Value::Null);
    let q = &mock.quirks;
    let mut machine = mock.machine();
    machine.requests += 1;
    machine.trusted += u32::from(carries || !body["Password"].is_null());
    if machine.busy > 0 {
        machine.busy -= 1;
        return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response();
    }
    let (method, path) = (head.method.as_str(), head.uri.path().to_owned());
    match (method, path.as_str()) {
        ("GET", "/redfish/v1/") if q.redirect.is_some() => {
            return located(308, q.redirect.as_deref().unwrap_or_default());
        }
        ("GET", "/redfish/v1/" | "/redfish/v1") if known || !q.locked_root => {
            let systems = q.systems_at.clone().unwrap_or_else(|| "/redfish/v1/Systems".to_owned());
            let mut root = json!({ "Systems": { "@odata.id": systems } });
            if q.sessions != 0 {
                root["Links"]["Sessions"] = json!({ "@odata.id": "/redfish/v1/SessionService/Sessions" });
            }
            return Json(root).into_response();
        }
        ("POST", "/redfish/v1/SessionService/Sessions") => {
            if q.sessions != 201 {
                return error(q.sessions, "no session today");
            }
            if body["UserName"] != USER || body["Password"] != PASSWORD {
                return error(401, "wrong");
            }
            machine.sessions += 1;
            let headers = [("x-auth-token", TOKEN), ("location", "/redfish/v1/SessionService/Sessions/7")];
            return (StatusCode::CREATED, headers, Json(json!({}))).into_response();
        }
        _ if !known => return error(401, "who are you"),
        _ if q.forbidden && method != "GET" && method != "DELETE" => {
            return error(403, "privilege ConfigureComponents is needed");
        }
        _ if q.echo && !body.is_null() => {
            return error(400, &format!("{body} {PASSWORD} is not what\nwas expected"));
        }
        ("DELETE", "/redfish/v1/SessionService/Sessions/7") => {
            machine.sessions -= 1;
            return bare(204);
        }
        ("GET", "/redfish/v1/Systems") => {
            let members: Vec<_> = q
                .systems
                .iter()
                .map(|(id, _)| json!({ "@odata.id": format!("/redfish/v1/Systems/{id}") }))
                .collect();
            return Json(json!({ "Members": members })).into_response();
        }
        ("GET", "/redfish/v1/TaskService/Monitors/1") => {
            if machine.task > 0 {
                machine.task -= 1;
                return bare(202);
            }
            if q.task_fails {
                let words = json!([{ "Message": "the fan is stuck" }]);
                return Json(json!({ "TaskState": "Exception", "Messages": words })).into_response();
            }
            return bare(404); // over, and gone
        }
        _ => {}
    }
    for (id, uuid) in q.systems {
        let at = format!("/redfish/v1/Systems/{id}");
        let Some(rest) = path.strip_prefix(&at) else { continue };
        match (method, rest) {
            ("GET", "" | "/SD") => {
                machine.etag += 1;
                let tag = format!("\"{}\"", machine.etag);
                let mut response = Json(mock.system(id, uuid, &machine)).into_response();
                if q.etag {
                    response.headers_mut().insert("etag", tag.parse().unwrap());
                }
                return response;
            }
            ("PATCH", "") if q.settings_object => return bare(405),
            ("PATCH", "" | "/SD") => {
                let (got, tag) = (header("if-match"), format!("\"{}\"", machine.etag));
                if (q.etag || q.star) && got.is_empty() {
                    return bare(428);
                }
                if q.etag && got != tag || q.star && got != "*" {
                    return bare(412);
                }
                if q.refuses_mode && !body["Boot"]["BootSourceOverrideMode"].is_null() {
                    return error(400, "BootSourceOverrideMode is read-only");
                }
                if !q.forgets_boot && *id == q.ours {
                    for (name, value) in body["Boot"].as_object().into_iter().flatten() {
                        machine.boot[name] = value.clone();
                    }
                }
                return if q.patch_status == 204 {
                    bare(204)
                } else {
                    (StatusCode::from_u16(q.patch_status).unwrap(), Json(json!({}))).into_response()
                };
            }
            ("GET", "/ResetActionInfo") => {
                let parameter = json!({ "Name": "ResetType", "AllowableValues": q.resets });
                return Json(json!({ "Parameters": [parameter] })).into_response();
            }
            ("POST", "/Actions/ComputerSystem.Reset") => {
                let kind = body["ResetType"].as_str().unwrap_or_default().to_owned();
                if q.resets.is_some_and(|resets| !resets.contains(&kind.as_str())) {
                    return error(400, "no such ResetType");
                }
                if !q.forgets_power && *id == q.ours {
                    machine.on = kind != "ForceOff";
                }
                machine.resets.push(kind);
                if let Some(looks) = q.task {
                    machine.task = looks;
                    return located(202, "/redfish/v1/TaskService/Monitors/1");
                }
                return bare(204);
            }
            _ => {}
        }
    }
    error(404, "no such resource")
}

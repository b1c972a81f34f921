//! The OpenAPI 3.1 document, made from the list of operations and the wire types. `docs/openapi.json` is this text; a
//! test compares them, and writes it with `UPDATE=1`.

use std::sync::LazyLock;

use maekin_api::access::Role;
use maekin_api::problem::{MEDIA_TYPE, Problem};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::table::{About, Content};

/// The document as it is served.
pub(crate) static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let about: Vec<About> = super::routes::operations().into_iter().map(|op| op.about).collect();
    // Maps of texts and numbers always serialize.
    let mut text = serde_json::to_string_pretty(&document(&about)).unwrap_or_default();
    text.push('\n');
    text
});

fn document(operations: &[About]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
        s.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for about in operations {
        let item = paths.entry(about.path).or_insert_with(|| json!({}));
        item[about.method.as_str().to_ascii_lowercase()] = operation(about, &mut schemas);
    }
    let problem = schemas.subschema_for::<Problem>();
    let schemas = schemas.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Maekin",
            "version": "v1",
            "description": "The API of every node of a cluster; all give the same answers, but for /v1/node. Fields may \
                be added to answers; clients skip what they do not know. docs/api.md says how to use it.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "https://{node}:8443", "variables": { "node": { "default": "node-1" } } }],
        "security": [{ "password": [] }, { "token": [] }, { "member": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Problem": {
                    "description": "Why the request was not carried out.",
                    "content": { MEDIA_TYPE: { "schema": problem } },
                },
            },
            "securitySchemes": {
                "password": { "type": "http", "scheme": "basic", "description": "A user and the password." },
                "token": { "type": "http", "scheme": "bearer", "description": "An API token." },
                "member": { "type": "mutualTLS", "description": "The certificate of a member." },
            },
        },
    })
}

fn operation(about: &About, schemas: &mut SchemaGenerator) -> Value {
    let mut text = about.summary.to_owned();
    if let Some(role) = about.least {
        text.push_str(&format!(" Takes the role {}.", role.word()));
    }
    let mut headers = Map::new();
    if about.paged {
        headers
            .insert("Link".into(), header("The next page, `rel=\"next\"`, where there is one (RFC 8288)."));
    }
    if about.tagged {
        headers.insert("ETag".into(), header("Version of the resource, for `If-Match`."));
    }
    if about.accepted {
        headers.insert("Location".into(), header("Where that is found which goes on."));
    }
    let (status, done) = if about.accepted { ("202", "It goes on.") } else { ("200", "It was done.") };
    let mut ok = json!({ "description": done });
    if let Some(content) = content(about.answers, schemas) {
        ok["content"] = content;
    }
    if !headers.is_empty() {
        ok["headers"] = headers.into();
    }
    let mut operation = json!({
        "operationId": about.id,
        "tags": [about.group],
        "summary": about.summary,
        "description": text,
        "responses": { status: ok, "default": { "$ref": "#/components/responses/Problem" } },
        "x-maekin-role": about.least.map(Role::word),
    });
    let parameters = parameters(about);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(content) = content(about.takes, schemas) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    if about.least.is_none() {
        operation["security"] = json!([]);
    }
    operation
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn content(content: Content, schemas: &mut SchemaGenerator) -> Option<Value> {
    match content {
        Content::Nothing => None,
        Content::Json(schema) => Some(json!({ "application/json": { "schema": schema(schemas) } })),
        Content::Text(media) => Some(json!({ media: { "schema": { "type": "string" } } })),
    }
}

fn parameters(about: &About) -> Vec<Value> {
    let names = about.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let path =
        |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let mut all: Vec<Value> = names.map(path).collect();
    if about.paged {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
        all.push(json!({ "name": "limit", "in": "query", "description": "Most entries.", "schema": limit }));
        all.push(query("after", "Name of the entry behind which to go on."));
    }
    if about.accepted {
        let what =
            "Names the request for a day: sent again with the same key and body, it begins nothing anew.";
        let name = "Idempotency-Key";
        all.push(
            json!({ "name": name, "in": "header", "description": what, "schema": { "type": "string" } }),
        );
    }
    all.extend(about.queries.iter().map(|(name, what)| query(name, what)));
    if about.tagged && about.method != axum::http::Method::GET {
        let what = "Only if the resource still has this ETag.";
        all.push(json!({ "name": "If-Match", "in": "header", "description": what, "schema": { "type": "string" } }));
    }
    all
}

fn query(name: &str, what: &str) -> Value {
    json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn api_the_committed_document_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, DOCUMENT.as_str()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == *DOCUMENT,
            "docs/openapi.json is not what the types say; run this test with UPDATE=1 and commit it"
        );
    }

    #[test]
    fn api_the_document_refers_to_what_it_has_and_names_nothing_twice() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut rest = DOCUMENT.as_str();
        while let Some((_, after)) = rest.split_once("#/components/schemas/") {
            let (name, after) = after.split_once('"').unwrap();
            assert!(schemas.contains_key(name), "{name} is missing");
            rest = after;
        }
        for name in schemas.keys() {
            let numbered = name.ends_with(|c: char| c.is_ascii_digit());
            assert!(
                !numbered,
                "{name}: two wire types have one name; give one another with #[schemars(rename)]"
            );
        }
        let mut ids = BTreeSet::new();
        for op in super::super::routes::operations() {
            let about = op.about;
            assert!(ids.insert(about.id), "{} is there twice", about.id);
            assert!(about.summary.ends_with('.') && !about.group.is_empty(), "{}", about.id);
            let item = &document["paths"][about.path][about.method.as_str().to_ascii_lowercase()];
            assert_eq!(item["operationId"], about.id);
            let mutates = about.method != axum::http::Method::GET;
            assert!(
                !mutates || about.least != Some(Role::Viewer) || about.own,
                "{}: a viewer only looks",
                about.id
            );
        }
    }

    /// The table is the only way to a router, and every public path of the wire types is in it.
    #[test]
    fn api_every_route_is_in_the_table() {
        let paths: BTreeSet<_> = super::super::routes::operations().iter().map(|op| op.about.path).collect();
        let constants = include_str!("../../api/src/lib.rs");
        let mut count = 0;
        for line in constants.lines().filter(|line| line.starts_with("pub const ")) {
            let Some((_, path)) = line.split_once("= \"/") else { continue };
            let path = format!("/{}", path.trim_end_matches("\";"));
            assert!(paths.contains(path.as_str()), "{path} is in no row of the table (http/routes.rs)");
            count += 1;
        }
        assert!(count >= 25, "the constants were read: {count}");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
        let mut folders = vec![sources];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("table.rs") && !path.ends_with("openapi.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    assert!(!text.contains(".route("), "{}: routes are made from the table", path.display());
                }
            }
        }
    }
}

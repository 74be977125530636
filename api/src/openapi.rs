//! The OpenAPI 3.1 document, made from the operations that the router serves and the types that they answer with.
use std::collections::BTreeMap;

use icehaul_jobs::Code;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    operation::{Operation, Reply, RequestHeader},
    problem::{PROBLEM_JSON, Problem},
    routes::operations,
};

/// The API's OpenAPI document.
#[must_use]
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for operation in operations() {
        let described = describe(&operation, &mut generator);
        let method = operation.method.as_str().to_lowercase();
        paths.entry(operation.path).or_insert_with(|| json!({}))[method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Icehaul",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Moves data into Apache Iceberg and proves that all of it arrived.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "jobs", "description": "Submit, watch, stop and repeat jobs"},
            {"name": "migrations", "description": "What migrations and verifications have proven"},
            {"name": "tables", "description": "What is in the catalogs"},
            {"name": "system", "description": "Health, figures and this document"},
        ],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "headers": reply_headers(),
        },
        "security": [],
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = path_parameters(&operation.path);
    if let Some(schema) = &operation.query {
        parameters.extend(query_parameters(schema));
    }
    parameters.extend(operation.request_headers.iter().map(|header| request_header(*header)));
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses(operation, generator),
    });
    if let Some(schema) = &operation.body {
        described["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    described
}

/// The parameters in a path's braces.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (about, schema) = match name {
                "job_id" => ("The job", json!({"type": "string", "format": "uuid"})),
                "migration_id" => (
                    "The migration: its job's id, in a batch with `.` and the number of the table after it",
                    json!({"type": "string", "pattern": r"^[0-9a-f-]{36}(\.[0-9]{1,6})?$"}),
                ),
                name => (
                    if name == "namespace" { "The namespace" } else { "The table's bare name" },
                    json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": 128}),
                ),
            };
            json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
        })
        .collect()
}

/// One parameter per property of the type that the query string is read into.
fn query_parameters(schema: &Value) -> Vec<Value> {
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| {
            let mut property = without_null(property.clone());
            let about = property.as_object_mut().and_then(|fields| fields.remove("description"));
            json!({
                "name": name,
                "in": "query",
                "required": required(name),
                "description": about,
                "schema": property,
            })
        })
        .collect()
}

/// A query parameter is absent rather than null.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array().cloned() {
        let mut types: Vec<Value> = types.into_iter().filter(|one| one != "null").collect();
        if let (Some(only), true) = (types.pop(), types.is_empty()) {
            schema["type"] = only;
        }
    }
    let one_of_or_null =
        schema["anyOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null").cloned());
    match (one_of_or_null, schema.as_object_mut()) {
        (Some(one), Some(fields)) => {
            fields.remove("anyOf");
            for (name, value) in one.as_object().into_iter().flatten() {
                fields.entry(name).or_insert_with(|| value.clone());
            }
            schema
        }
        _ => schema,
    }
}

fn request_header(header: RequestHeader) -> Value {
    let (name, about, schema) = match header {
        RequestHeader::IdempotencyKey => (
            "Idempotency-Key",
            "Your name for this request: sent again with the same body within a day, it gives the first job back",
            json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"}),
        ),
        RequestHeader::Prefer => (
            "Prefer",
            "`wait=N` (RFC 7240): wait up to N seconds, at most 60, for the job to end",
            json!({"type": "string", "examples": ["wait=10"]}),
        ),
        RequestHeader::IfNoneMatch => {
            ("If-None-Match", "The `ETag` of the document that you have", json!({"type": "string"}))
        }
        RequestHeader::LastEventId => (
            "Last-Event-ID",
            "Goes on after this event",
            json!({"type": "string", "pattern": "^[0-9]{1,20}-[0-9]{1,20}$"}),
        ),
    };
    json!({"name": name, "in": "header", "required": false, "description": about, "schema": schema})
}

fn reply_headers() -> Value {
    let header = |about: &str| json!({"description": about, "schema": {"type": "string"}});
    json!({
        "x-request-id": header("Names this answer in the server's log; the caller's own if it sent a sane one"),
        "Location": header("The job's address"),
        "ETag": header("Names this state of the document"),
        "Preference-Applied": header("The preference that was heeded"),
        "Idempotent-Replayed": header("`true`: the key was known, this is its job"),
        "Retry-After": header("Seconds to wait before the next try"),
        "Allow": header("The methods that the address takes"),
    })
}

fn headers(names: &[&str]) -> Value {
    let all = names.iter().chain(&["x-request-id"]);
    all.map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
        .collect::<Map<_, _>>()
        .into()
}

/// Where to go from an answer that names a job.
fn job_links() -> Value {
    let link = |operation: &str| json!({"operationId": operation, "parameters": {"job_id": "$response.body#/job_id"}});
    json!({"self": link("get_job"), "events": link("job_events"), "cancel": link("cancel_job"), "retry": link("retry_job")})
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = Map::new();
    for Reply { status, about, schema, headers: names } in &operation.replies {
        let mut response = json!({"description": about, "headers": headers(names)});
        if let Some(schema) = schema {
            let media = operation.media.split(';').next().unwrap_or_default();
            response["content"] = json!({media: {"schema": schema(generator)}});
            for also in operation.also {
                response["content"][*also] = json!({"schema": {"type": "string"}});
            }
        }
        if names.contains(&"Location") {
            response["links"] = job_links();
        }
        responses.insert(status.to_string(), response);
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in &operation.codes {
        let codes = by_status.entry(code.http()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    for (status, codes) in by_status {
        let lines = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.title()));
        let retry: &[&str] = if matches!(status, 429 | 503) { &["Retry-After"] } else { &[] };
        responses.insert(
            status.to_string(),
            json!({
                "description": lines.collect::<Vec<_>>().join("; "),
                "headers": headers(retry),
                "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }),
        );
    }
    responses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_id_is_its_own() {
        let document = openapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a reference into this document");
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        let paths = document["paths"].as_object().expect("paths").values();
        let ids: Vec<_> = paths
            .flat_map(|path| path.as_object().expect("methods").values())
            .map(|operation| operation["operationId"].as_str().expect("an id"))
            .collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), distinct.len(), "{ids:?}");
        assert!(ids.contains(&"submit_load_postgres") && ids.contains(&"table_metadata"));
    }

    #[test]
    fn parameters_are_those_that_are_read() {
        let document = openapi();
        let parameters = document["paths"]["/api/v1/jobs"]["get"]["parameters"].as_array().expect("parameters");
        let limit = parameters.iter().find(|one| one["name"] == "limit").expect("limit");
        assert_eq!(limit["schema"]["type"], "integer");
        assert_eq!((&limit["schema"]["minimum"], &limit["schema"]["maximum"]), (&json!(1), &json!(500)));
        let status = parameters.iter().find(|one| one["name"] == "status").expect("status");
        assert_eq!(status["schema"]["oneOf"].as_array().map(Vec::len), Some(7));
        assert_eq!(status["description"], "In this status.");
        assert!(parameters.iter().all(|one| one["required"] == false));
    }
}

//! Mends what derived schemas get wrong.

use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::operations::operations;

/// Mends a document.
pub(super) fn tidy(document: &mut Value) {
    each_object(document, &mut |members| {
        rewrite_description(members);
        loosen(members);
        equal_items(members);
        drop_foreign_default(members);
    });
    for (_, _, operation) in operations(document) {
        for parameter in
            operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
        {
            never_null(&mut parameter["schema"]);
        }
        let bodies = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
        for media_type in bodies.into_iter().flat_map(Map::values_mut) {
            never_null(&mut media_type["schema"]);
        }
    }
    open_answers(document);
}

/// Calls this for every object, from the outside in.
fn each_object(part: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match part {
        Value::Object(members) => {
            change(members);
            members.values_mut().for_each(|member| each_object(member, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Takes from a description what only Rust's documentation can show: examples in Rust, and links to items.
fn rewrite_description(members: &mut Map<String, Value>) {
    let Some(Value::String(text)) = members.get_mut("description") else { return };
    let prose = text.split("```").next().unwrap_or_default();
    let lines = prose.lines().filter(|line| !(line.starts_with("[`") && line.contains("`]: ")));
    let prose = lines.collect::<Vec<&str>>().join("\n");
    let mut rest = prose.trim_end();
    let mut plain = String::with_capacity(rest.len());
    // A link is [`Item`] or [`text`](path).
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        for piece in [before, "`", &name.replace("::", "."), "`"] {
            plain.push_str(piece);
        }
        rest = target.map_or(after, |(_, after)| after);
    }
    plain.push_str(rest);
    *text = plain;
}

/// The forms of an untagged enum may overlap, so a value may have more than one; and formats such as `int64`, which
/// stands for `u64`, as well, are wrong.
fn loosen(members: &mut Map<String, Value>) {
    if let Some(forms) = members.remove("oneOf") {
        members.insert("anyOf".to_owned(), forms);
    }
    if members.get("format").is_some_and(|format| format != "date-time")
        && members.contains_key("type")
    {
        members.remove("format");
    }
}

/// A tuple of equal types is an array of them, which more generators of clients can read.
fn equal_items(members: &mut Map<String, Value>) {
    let Some(Value::Array(items)) = members.get("prefixItems") else { return };
    let (Some(first), length) = (items.first().cloned(), items.len()) else { return };
    if items.iter().all(|item| *item == first) {
        members.remove("prefixItems");
        members.insert("items".to_owned(), first);
        members.insert("minItems".to_owned(), length.into());
        members.insert("maxItems".to_owned(), length.into());
    }
}

/// Defaults are not written by the serializer of their field, so that those of durations have another form.
fn drop_foreign_default(members: &mut Map<String, Value>) {
    let is_text =
        members.get("type").is_some_and(|it| *it == "string" || *it == json!(["string", "null"]));
    if is_text && members.get("default").is_some_and(|default| !default.is_string()) {
        members.remove("default");
    }
}

/// What may be left out is `null` in the schema of an `Option`, but not as a whole body or a parameter.
fn never_null(schema: &mut Value) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| *one != "null");
        if let [one] = types.as_slice() {
            schema["type"] = one.clone();
        }
    }
    let is_null = |form: &Value| form["type"] == "null";
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|form| !is_null(form));
        if let [one] = forms.as_slice() {
            *schema = one.clone();
        }
    }
}

/// The names of the schemas that these parts refer to, also by way of others.
fn referred_to(mut open: Vec<Value>, schemas: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    while let Some(mut part) = open.pop() {
        each_object(&mut part, &mut |members| {
            let name = members.get("$ref").and_then(Value::as_str);
            let name = name.and_then(|name| name.strip_prefix("#/components/schemas/"));
            if let Some(name) = name
                && found.insert(name.to_owned())
            {
                open.extend(schemas.get(name).cloned());
            }
        });
    }
    found
}

/// Takes out the schemas that nothing refers to: types that are parts of generic ones are also written apart.
pub(super) fn drop_unused(document: &mut Value) {
    let parts = vec![document["paths"].clone(), document["components"]["responses"].clone()];
    let used = referred_to(parts, &document["components"]["schemas"]);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.retain(|name, _| used.contains(name));
    }
}

/// Answers may get further members, so only the schemas of requests are closed.
fn open_answers(document: &mut Value) {
    let bodies = operations(document).filter_map(|(_, _, operation)| operation.get("requestBody"));
    let bodies = bodies.cloned().collect();
    let of_requests = referred_to(bodies, &document["components"]["schemas"]);
    let schemas = document["components"]["schemas"].as_object_mut().into_iter().flatten();
    for (_, schema) in schemas.filter(|(name, _)| !of_requests.contains(*name)) {
        each_object(schema, &mut |members| {
            if members.get("additionalProperties") == Some(&Value::Bool(false)) {
                members.remove("additionalProperties");
            }
        });
    }
}

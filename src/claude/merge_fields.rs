//! Merges fields that are passed through into the body of a request.

use super::{lenient::Object, raw::RawObject};

/// The body with these fields, which it must not have itself, except for objects: these
/// are merged. Both are kept as they are written.
pub fn merge_fields(body: &str, extra: &RawObject) -> serde_json::Result<String> {
    let extra = Object::read(extra.get())?;
    let body = Object::read(body)?;
    Ok(merged(&body, &extra))
}

fn merged(body: &Object<'_>, extra: &Object<'_>) -> String {
    let mut json = String::from("{");
    for (name, value) in body.fields() {
        let inner = Object::read(value.get()).ok();
        match inner.zip(extra.object(name)) {
            Some((inner, more)) => push(&mut json, name, &merged(&inner, &more)),
            None => push(&mut json, name, value.get()),
        }
    }
    for (name, value) in extra.fields() {
        if body.fields().all(|(known, _)| known != name) {
            push(&mut json, name, value.get());
        }
    }
    json.push('}');
    json
}

fn push(json: &mut String, name: &str, value: &str) {
    if !json.ends_with('{') {
        json.push(',');
    }
    json.push_str(&serde_json::to_string(name).expect("a string always serializes"));
    json.push(':');
    json.push_str(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_merged_and_all_else_is_kept_as_it_is_written() {
        let body = r#"{"model":"m","output_config":{"effort":"low"},"n":1.0}"#;
        let extra =
            r#" {"thread" : {"a":1e400, "a":2},"output_config":{"task_budget":{"total":1.50}}}"#;
        let extra = RawObject::new(extra.to_owned()).unwrap();
        assert_eq!(
            merge_fields(body, &extra).unwrap(),
            r#"{"model":"m","output_config":{"effort":"low","task_budget":{"total":1.50}},"n":1.0,"thread":{"a":1e400, "a":2}}"#
        );
        assert_eq!(merge_fields("{}", &RawObject::default()).unwrap(), "{}");
    }
}

//! Merges fields that are passed through into the body of a request.

use super::{lenient::Object, raw::RawObject};

/// The body with these fields. Both are kept as they are written.
///
/// # Errors
/// When one of them is not an object, or both set a field that is not an object: objects
/// are merged.
pub fn merge_fields(body: &str, extra: &RawObject) -> serde_json::Result<String> {
    let extra = Object::read(extra.get())?;
    let body = Object::read(body)?;
    merged(&body, &extra)
}

fn merged(body: &Object<'_>, extra: &Object<'_>) -> serde_json::Result<String> {
    let mut json = String::from("{");
    for (name, value) in body.fields() {
        match extra.get(name) {
            Some(more) => {
                let (inner, more) = (Object::read(value.get())?, Object::read(more.get())?);
                push(&mut json, name, &merged(&inner, &more)?);
            }
            None => push(&mut json, name, value.get()),
        }
    }
    for (name, value) in extra.fields() {
        if body.fields().all(|(known, _)| known != name) {
            push(&mut json, name, value.get());
        }
    }
    json.push('}');
    Ok(json)
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
        assert!(merge_fields(r#"{"thread":1}"#, &extra).is_err());
    }
}

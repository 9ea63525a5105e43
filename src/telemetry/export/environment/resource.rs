//! The resource: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.

use super::reader::VariableReader;
use percent_encoding::percent_decode_str;

impl VariableReader<'_> {
    /// The attributes that the variables define. One invalid attribute voids
    /// them all, as the specification requires.
    pub(super) fn resource(&mut self) -> Vec<(String, String)> {
        let variable = "OTEL_RESOURCE_ATTRIBUTES";
        let mut attributes = match self.text(variable).as_deref().map(parsed) {
            Some(Some(attributes)) => attributes,
            Some(None) => {
                let problem = "must be key=value pairs separated by commas, with \
                               other characters percent-encoded";
                self.ignore(variable, problem);
                Vec::new()
            }
            None => Vec::new(),
        };
        // The last attribute wins.
        if let Some(name) = self.text("OTEL_SERVICE_NAME") {
            attributes.push(("service.name".to_owned(), name));
        }
        attributes
    }
}

fn parsed(list: &str) -> Option<Vec<(String, String)>> {
    let pairs = list.split(',').map(str::trim).filter(|it| !it.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = decoded(key.trim()).filter(|key| !key.is_empty())?;
            Some((key, decoded(value.trim())?))
        })
        .collect()
}

/// Decodes percent-encoded text, if the encoding is valid.
fn decoded(text: &str) -> Option<String> {
    let is_code = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_code) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

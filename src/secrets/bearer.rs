//! The header that carries an API key, and what cannot be a key.

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// What is wrong with a key. Each of these is what a tool makes of a key on its
/// way into a file or a variable; the API would only say that the key is wrong,
/// at the first call. Quotes nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnusableKey {
    /// There is nothing, or only whitespace.
    #[error("must not be empty")]
    Empty,
    /// There is an invisible character, a letter that is not ASCII, or
    /// whitespace in the middle.
    #[error("must consist of visible ASCII characters, and character {position} is not one")]
    NotVisible {
        /// Position of the character, starting at 1.
        position: usize,
    },
    /// The value of the variable is not Unicode.
    #[error("must be UTF-8")]
    NotUtf8,
    /// It has the quotes of a shell or `.env` file.
    #[error("must not be in quotes")]
    Quoted,
    /// It is a line of an `.env` file.
    #[error("must be the key alone, without `NAME=` in front")]
    Assignment,
    /// It is an object or a list.
    #[error("must be the key alone, not JSON")]
    Json,
}

/// The key itself. Whitespace around it is removed: files end in a newline.
///
/// # Errors
/// [`UnusableKey`].
pub fn checked_key(text: &str) -> Result<&str, UnusableKey> {
    let key = text.trim();
    if key.is_empty() {
        return Err(UnusableKey::Empty);
    }
    if let Some(index) = key.chars().position(|c| !c.is_ascii_graphic()) {
        let position = index + 1;
        // What it is taken for explains more than the space in it.
        return Err(misshapen(key).unwrap_or(UnusableKey::NotVisible { position }));
    }
    match misshapen(key) {
        Some(error) => Err(error),
        None => Ok(key),
    }
}

fn misshapen(key: &str) -> Option<UnusableKey> {
    if key.starts_with(['{', '[']) {
        return Some(UnusableKey::Json);
    }
    if key.starts_with(['"', '\'', '`']) || key.ends_with(['"', '\'', '`']) {
        return Some(UnusableKey::Quoted);
    }
    is_assignment(key).then_some(UnusableKey::Assignment)
}

/// Whether it is `NAME=value`. A Base64 text may end in `=` and is not.
fn is_assignment(key: &str) -> bool {
    let Some((name, value)) = key.split_once('=') else {
        return false;
    };
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name && !value.trim_matches('=').is_empty()
}

/// The `authorization` header for a key, marked as sensitive.
///
/// # Errors
/// [`UnusableKey`].
pub fn authorization(key: &SecretString) -> Result<HeaderValue, UnusableKey> {
    sensitive(&format!("Bearer {}", checked_key(key.expose_secret())?))
}

/// The value of a header that is the key alone, marked as sensitive.
///
/// # Errors
/// [`UnusableKey`].
pub fn key_header(key: &SecretString) -> Result<HeaderValue, UnusableKey> {
    sensitive(checked_key(key.expose_secret())?)
}

fn sensitive(value: &str) -> Result<HeaderValue, UnusableKey> {
    let mut header =
        HeaderValue::from_str(value).map_err(|_| UnusableKey::NotVisible { position: 1 })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_tools_make_of_a_key_is_refused() {
        use UnusableKey::{Assignment, Empty, Json, NotVisible, Quoted};
        for (text, error) in [
            ("", Empty),
            (" \r\n", Empty),
            ("\"sk-ant-1\"", Quoted),
            ("'sk-ant-1'", Quoted),
            ("\"sk-ant-1", Quoted),
            ("sk-ant-1'", Quoted),
            ("`sk-ant-1`", Quoted),
            ("ANTHROPIC_API_KEY=sk-ant-1", Assignment),
            ("export ANTHROPIC_API_KEY=sk-ant-1", Assignment),
            ("ANTHROPIC_API_KEY = sk-ant-1", Assignment),
            ("key=sk-ant-1", Assignment),
            ("{\"key\":\"sk-ant-1\"}", Json),
            ("{ \"key\": \"sk-ant-1\" }", Json),
            ("[\"sk-ant-1\"]", Json),
            ("\u{200b}sk-ant-1", NotVisible { position: 1 }),
            ("sk\u{ad}-ant-1", NotVisible { position: 3 }),
            ("sk-ant-1\u{feff}", NotVisible { position: 9 }),
            ("sk ant", NotVisible { position: 3 }),
            ("sk\tant", NotVisible { position: 3 }),
            ("sk\u{2011}ant", NotVisible { position: 3 }),
            ("\u{201c}sk-ant-1\u{201d}", NotVisible { position: 1 }),
        ] {
            assert_eq!(checked_key(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn keys_and_tokens_of_gateways_are_keys() {
        for key in [
            "sk-ant-api03-Ab_9-xyz",
            "eyJhbGciOi.J9.abc",
            "YWJjZA==",
            "user:secret",
            "a",
        ] {
            assert_eq!(checked_key(key), Ok(key));
            assert_eq!(checked_key(&format!(" {key}\u{a0}\r\n")), Ok(key));
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_visible_ascii(text in "\\PC{0,20}|[ -~]{0,20}|.{0,20}") {
            let key = SecretString::from(text);
            if let Ok(header) = authorization(&key) {
                let sent = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
                prop_assert!(!sent.is_empty() && sent.bytes().all(|b| b.is_ascii_graphic()));
                let begins_wrong = sent.starts_with(['"', '\'', '{']);
                prop_assert!(!begins_wrong);
            }
        }
    }
}

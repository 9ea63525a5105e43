//! The credentials of a call.

use super::{RejectReason, signature::SignatureHeader};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

const API_KEY: &str = "x-api-key";
const SIGNATURE: &str = "x-signature";

/// The headers with credentials.
pub const CREDENTIAL_HEADERS: [&str; 3] = ["authorization", API_KEY, SIGNATURE];

/// The credentials in the metadata of a call.
#[derive(Debug)]
pub enum Credentials<'a> {
    /// No credentials; the connection may have a client certificate.
    None,
    /// A client key (`cgk_…`).
    Key(&'a str),
    /// A signature over the message.
    Signature(SignatureHeader),
}

impl<'a> Credentials<'a> {
    /// Reads the credentials from the metadata.
    ///
    /// # Errors
    /// [`RejectReason::Malformed`], also when there is more than one kind of
    /// credentials: whichever one was used, a caller could have expected the
    /// other.
    pub fn read(headers: &'a HeaderMap) -> Result<Self, RejectReason> {
        let bearer = only(headers, AUTHORIZATION.as_str())?;
        let api_key = only(headers, API_KEY)?;
        let signature = only(headers, SIGNATURE)?;
        match (bearer, api_key, signature) {
            (None, None, None) => Ok(Credentials::None),
            (Some(bearer), None, None) => Ok(Credentials::Key(token(bearer)?)),
            (None, Some(key), None) => Ok(Credentials::Key(key)),
            (None, None, Some(signature)) => SignatureHeader::parse(signature)
                .map(Credentials::Signature)
                .ok_or(RejectReason::Malformed),
            _ => Err(RejectReason::Malformed),
        }
    }
}

/// Whether a call is signed, validly or not.
pub fn has_signature(headers: &HeaderMap) -> bool {
    headers.contains_key(SIGNATURE)
}

/// Removes the credentials from an authenticated call, so that nothing below
/// can pass them on.
pub fn remove_credentials(headers: &mut HeaderMap) {
    for name in CREDENTIAL_HEADERS {
        headers.remove(name);
    }
}

/// The value of a header that may occur at most once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, RejectReason> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::to_str);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(RejectReason::Malformed),
    }
}

/// The scheme is case-insensitive (RFC 9110).
fn token(bearer: &str) -> Result<&str, RejectReason> {
    match bearer.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(RejectReason::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<String, RejectReason> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Ok(match Credentials::read(&headers)? {
            Credentials::None => String::new(),
            Credentials::Key(key) => key.to_owned(),
            Credentials::Signature(header) => header.key_id,
        })
    }

    #[test]
    fn a_key_comes_in_either_header_and_only_once() {
        assert_eq!(read(&[]), Ok(String::new()));
        assert_eq!(read(&[("authorization", "Bearer k")]), Ok("k".to_owned()));
        assert_eq!(read(&[("authorization", "bearer k")]), Ok("k".to_owned()));
        assert_eq!(read(&[("x-api-key", "k")]), Ok("k".to_owned()));
        for pairs in [
            &[("authorization", "Basic k")][..],
            &[("authorization", "k")],
            &[("authorization", "Bearer k"), ("x-api-key", "k")],
            &[("x-api-key", "k"), ("x-api-key", "k")],
            &[("x-api-key", "k"), ("x-signature", "t=1")],
            &[("x-signature", "t=1")],
        ] {
            assert_eq!(read(pairs), Err(RejectReason::Malformed), "{pairs:?}");
        }
    }
}

//! The JSON body of a request to the API, without room to spare.
//!
//! A body that grows as it is written is copied several times, and holds up to
//! twice its size in the end. A large one is therefore measured first, and
//! written into memory of exactly that size.

use super::UpstreamError;
use crate::claude::{
    MAX_BODY_BYTES, merge_fields::merge_fields, raw::RawObject, request::MessagesRequest,
};
use bytes::Bytes;
use serde::Serialize;
use std::io::{self, Write};

/// Up to this size a body may grow as it is written, in bytes: to measure it
/// first would take longer.
const SMALL: usize = 64 * 1024;

/// The body of a request, with the fields that are merged into it.
///
/// # Errors
/// [`UpstreamError::TooLarge`], and [`UpstreamError::Malformed`] for what is not
/// JSON.
pub fn body(request: &MessagesRequest) -> Result<Bytes, UpstreamError> {
    let body = serialize(request)?;
    match &request.extra {
        None => Ok(body),
        Some(extra) => with_fields(&body, extra),
    }
}

/// The JSON of a request. A request that the API would reject for its size is
/// not written.
///
/// # Errors
/// [`UpstreamError::TooLarge`], and [`UpstreamError::Malformed`] for what is not
/// JSON.
fn serialize(request: &impl Serialize) -> Result<Bytes, UpstreamError> {
    let mut small = SmallBody::default();
    match serde_json::to_writer(&mut small, request) {
        Ok(()) => Ok(Bytes::from(small.0)),
        Err(error) if error.is_io() => {
            drop(small);
            large(request)
        }
        Err(_) => Err(not_json()),
    }
}

/// A body with the fields that are merged into it.
///
/// # Errors
/// [`UpstreamError::TooLarge`], and [`UpstreamError::Malformed`] for what is not
/// JSON.
fn with_fields(body: &[u8], extra: &RawObject) -> Result<Bytes, UpstreamError> {
    let body = std::str::from_utf8(body).map_err(|_| not_json())?;
    let body = merge_fields(body, extra).map_err(|_| not_json())?;
    match body.len() {
        bytes if bytes > MAX_BODY_BYTES => Err(UpstreamError::TooLarge { bytes }),
        _ => Ok(Bytes::from(body)),
    }
}

fn large(request: &impl Serialize) -> Result<Bytes, UpstreamError> {
    let mut size = BodySize(0);
    serde_json::to_writer(&mut size, request).map_err(|_| not_json())?;
    let BodySize(bytes) = size;
    if bytes > MAX_BODY_BYTES {
        return Err(UpstreamError::TooLarge { bytes });
    }
    let mut body = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut body, request).map_err(|_| not_json())?;
    Ok(Bytes::from(body))
}

fn not_json() -> UpstreamError {
    UpstreamError::Malformed("failed to encode the request".into())
}

/// A body that fails when it is larger than [`SMALL`].
#[derive(Default)]
struct SmallBody(Vec<u8>);

impl Write for SmallBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.0.len() + bytes.len() > SMALL {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The size of a body that is not kept, in bytes.
struct BodySize(usize);

impl Write for BodySize {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_body_is_the_json_of_its_request(
            text in any::<String>(),
            times in prop_oneof![0_usize..3, 1_000_usize..10_000],
        ) {
            let text = text.repeat(times);
            prop_assert_eq!(&serialize(&text).unwrap()[..], &serde_json::to_vec(&text).unwrap());
        }
    }

    #[test]
    fn the_largest_body_is_written_and_a_larger_one_is_not() {
        let mut text = "x".repeat(MAX_BODY_BYTES - 2);
        assert_eq!(serialize(&text).unwrap().len(), MAX_BODY_BYTES);
        text.push('x');
        let error = serialize(&text).unwrap_err();
        assert!(matches!(error, UpstreamError::TooLarge { bytes } if bytes == MAX_BODY_BYTES + 1));
    }
}

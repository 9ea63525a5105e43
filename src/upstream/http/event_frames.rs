//! The frames in which Bedrock sends events (`application/vnd.amazon.eventstream`), as
//! server-sent events.
//!
//! Each frame of the type `chunk` has one event of the Messages API, as Base64 in JSON.
//! A frame that reports an exception becomes the `error` event that the Claude API would
//! send. So whatever reads events reads those of Bedrock.

use super::response::BodyBroke;
use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::json;

/// Maximum size of a frame, in bytes. Events are far smaller.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Turns frames into server-sent events, piece by piece.
#[derive(Default)]
pub struct EventFrames {
    /// What is not a whole frame yet.
    rest: BytesMut,
}

/// The payload of a frame. What else is in it is padding.
#[derive(Default, Deserialize)]
#[serde(default)]
struct FramePayload {
    bytes: String,
    message: String,
}

impl EventFrames {
    /// The events in a piece of the body.
    ///
    /// # Errors
    /// When the piece is not one of frames.
    pub fn decode(&mut self, piece: &[u8]) -> Result<Bytes, BodyBroke> {
        self.rest.extend_from_slice(piece);
        let mut events = BytesMut::new();
        while let Some(size) = self.announced() {
            if size > MAX_FRAME {
                return Err(BodyBroke::Alone);
            }
            if self.rest.len() < size {
                break;
            }
            let frame = read_message_from(self.rest.split_to(size));
            events.extend_from_slice(&event(&frame.map_err(|_| BodyBroke::Alone)?)?);
        }
        Ok(events.freeze())
    }

    /// The size of the next frame, which its first bytes say.
    fn announced(&self) -> Option<usize> {
        let size = u32::from_be_bytes(*self.rest.first_chunk()?);
        // Nothing would be left of a frame of no size, again and again.
        Some(usize::try_from(size).map_or(usize::MAX, |size| size.max(1)))
    }
}

/// The event in a frame; empty for a frame of another type.
fn event(frame: &Message) -> Result<Vec<u8>, BodyBroke> {
    let header = |name: &str| {
        let headers = frame.headers().iter();
        let mut found = headers.filter(|header| header.name().as_str() == name);
        let value = found.next()?.value().as_string().ok()?;
        Some(value.as_str())
    };
    let payload = || serde_json::from_slice::<FramePayload>(frame.payload());
    match header(":message-type") {
        Some("event") if header(":event-type") == Some("chunk") => {
            let payload = payload().map_err(|_| BodyBroke::Alone)?;
            let data = STANDARD.decode(payload.bytes);
            Ok(of_data(&data.map_err(|_| BodyBroke::Alone)?))
        }
        Some("event") => Ok(Vec::new()),
        _ => {
            let exception = header(":exception-type").or_else(|| header(":error-code"));
            let message = payload().map(|payload| payload.message);
            let message = message.ok().filter(|message| !message.is_empty());
            let message = message.or_else(|| header(":error-message").map(str::to_owned));
            let error = json!({
                "type": "error",
                "error": {
                    "type": kind(exception.unwrap_or_default()),
                    "message": message.unwrap_or_default(),
                },
            });
            Ok(of_data(error.to_string().as_bytes()))
        }
    }
}

/// A server-sent event with this data, which names its type. A line break in it stands
/// between values.
fn of_data(data: &[u8]) -> Vec<u8> {
    let line = data.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        byte => *byte,
    });
    let mut event = Vec::with_capacity(data.len() + 8);
    event.extend_from_slice(b"data: ");
    event.extend(line);
    event.extend_from_slice(b"\n\n");
    event
}

/// The error type of the Claude API for an exception of Bedrock, in a frame or in
/// `x-amzn-errortype`; empty for one that is not known.
/// Source: botocore's model of `bedrock-runtime` (`InvokeModelWithResponseStream`).
pub fn kind(exception: &str) -> &'static str {
    let name = exception.split([':', '#']).next().unwrap_or_default();
    match name.to_ascii_lowercase().as_str() {
        "throttlingexception" | "modelnotreadyexception" | "servicequotaexceededexception" => {
            "rate_limit_error"
        }
        "serviceunavailableexception" => "overloaded_error",
        "modeltimeoutexception" => "timeout_error",
        "internalserverexception" | "modelstreamerrorexception" | "modelerrorexception" => {
            "api_error"
        }
        "validationexception" => "invalid_request_error",
        "accessdeniedexception" => "permission_error",
        "resourcenotfoundexception" => "not_found_error",
        "expiredtokenexception"
        | "unrecognizedclientexception"
        | "invalidsignatureexception"
        | "incompletesignatureexception"
        | "missingauthenticationtokenexception" => "authentication_error",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::{
        event_stream::{Header, HeaderValue},
        str_bytes::StrBytes,
    };

    fn frame(headers: &[(&'static str, &'static str)], payload: &str) -> Vec<u8> {
        let value = |text| HeaderValue::String(StrBytes::from(text));
        let headers = headers
            .iter()
            .map(|(name, text)| Header::new(*name, value(*text)));
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let message = Message::new_from_parts(headers.collect(), payload);
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn chunk(data: &str) -> Vec<u8> {
        let payload = json!({"bytes": STANDARD.encode(data), "p": "abc"}).to_string();
        let headers = [(":message-type", "event"), (":event-type", "chunk")];
        frame(&headers, &payload)
    }

    fn decoded(body: &[u8], piece: usize) -> Result<String, BodyBroke> {
        let mut frames = EventFrames::default();
        let pieces = body.chunks(piece).map(|piece| frames.decode(piece));
        let events = pieces.collect::<Result<Vec<_>, _>>()?;
        Ok(String::from_utf8(events.concat()).unwrap())
    }

    #[test]
    fn each_frame_is_an_event_in_any_pieces() {
        let exception = [
            (":message-type", "exception"),
            (":exception-type", "throttlingException"),
        ];
        let other = [(":message-type", "event"), (":event-type", "metadata")];
        let body = [
            chunk(r#"{"type":"ping"}"#),
            frame(&other, "{}"),
            chunk("{\n \"type\": \"message_stop\"}"),
            frame(&exception, r#"{"message":"slow down"}"#),
        ]
        .concat();
        for piece in [1, 7, 100, body.len()] {
            assert_eq!(
                decoded(&body, piece).unwrap(),
                "data: {\"type\":\"ping\"}\n\ndata: {  \"type\": \"message_stop\"}\n\n\
                 data: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}\n\n"
            );
        }
    }

    #[test]
    fn what_is_no_frame_breaks_the_body() {
        let mut flipped = chunk("{}");
        *flipped.last_mut().unwrap() ^= 1;
        assert!(decoded(&flipped, 1000).is_err());
        assert!(decoded(b"event: ping\ndata: {}\n\n", 1000).is_err());
        let huge = [&0x7fff_ffff_u32.to_be_bytes()[..], &[0; 12]].concat();
        assert!(decoded(&huge, 1000).is_err());
        let payload = [(":message-type", "event"), (":event-type", "chunk")];
        assert!(decoded(&frame(&payload, "not JSON"), 1000).is_err());
    }

    #[test]
    fn an_exception_has_the_type_of_the_claude_api() {
        for (exception, expected) in [
            (
                "ThrottlingException:http://internal.amazon.com/coral/",
                "rate_limit_error",
            ),
            ("internalServerException", "api_error"),
            ("SomethingNew", ""),
            ("", ""),
        ] {
            assert_eq!(kind(exception), expected);
        }
    }
}

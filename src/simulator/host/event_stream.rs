//! The events of a stream on the wire: server-sent events, or the frames of AWS
//! (`application/vnd.amazon.eventstream`), of which each has one event.

use super::{errors, kind::SimulatedHost};
use crate::simulator::error::ApiError;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::{
    event_stream::{Header, HeaderValue, Message},
    str_bytes::StrBytes,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::json;

/// How the events of one answer are written.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) struct StreamFraming {
    pub(in crate::simulator) host: SimulatedHost,
    /// Tokens of the whole answer, which Bedrock adds to its last event.
    pub(in crate::simulator) input_tokens: u64,
    pub(in crate::simulator) output_tokens: u64,
}

impl StreamFraming {
    /// Value of `content-type`.
    pub(in crate::simulator) fn content_type(&self) -> &'static str {
        if self.host.streams_frames() {
            "application/vnd.amazon.eventstream"
        } else {
            "text/event-stream; charset=utf-8"
        }
    }

    /// Adds the headers of a stream, other than its type.
    pub(in crate::simulator) fn set_headers(&self, headers: &mut HeaderMap) {
        if self.host.streams_frames() {
            // The type of what the chunks contain.
            let json = http::HeaderValue::from_static("application/json");
            headers.insert("x-amzn-bedrock-content-type", json);
        }
    }

    /// An event with its data, which is JSON on one line.
    pub(in crate::simulator) fn event(&self, name: &str, data: &str) -> Bytes {
        if !self.host.streams_frames() {
            return Bytes::from(format!("event: {name}\ndata: {data}\n\n"));
        }
        let data = match data.strip_suffix('}') {
            Some(data) if name == "message_stop" => format!("{data},{}}}", self.metrics()),
            _ => data.to_owned(),
        };
        // `p` is padding, so that the length of a frame does not tell that of its text.
        let padding = &"abcdefghijklmnopqrstuvwxyz"[..1 + data.len() % 26];
        let payload = json!({"bytes": STANDARD.encode(data), "p": padding});
        frame("event", ":event-type", "chunk", payload.to_string())
    }

    /// An error that ends the stream.
    pub(in crate::simulator) fn error(&self, error: &ApiError, request_id: &str) -> Bytes {
        if !self.host.streams_frames() {
            return self.event("error", &error.json(request_id));
        }
        let Some(exception) = exception_of(error.status()) else {
            let code = errors::exception_of(error.status());
            return write(&error_frame(code, error.message()));
        };
        let payload = json!({"message": error.message()});
        frame(
            "exception",
            ":exception-type",
            exception,
            payload.to_string(),
        )
    }

    fn metrics(&self) -> String {
        let metrics = json!({
            "inputTokenCount": self.input_tokens,
            "outputTokenCount": self.output_tokens,
            "invocationLatency": 1,
            "firstByteLatency": 1,
        });
        format!(r#""amazon-bedrock-invocationMetrics":{metrics}"#)
    }
}

/// The member of `ResponseStream`, in botocore's model of Bedrock, for an error.
fn exception_of(status: u16) -> Option<&'static str> {
    Some(match errors::exception_of(status) {
        "ThrottlingException" => "throttlingException",
        "ModelTimeoutException" => "modelTimeoutException",
        "ModelErrorException" => "modelStreamErrorException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "InternalServerException" => "internalServerException",
        "ValidationException" => "validationException",
        _ => return None,
    })
}

fn frame(
    message_type: &'static str,
    name: &'static str,
    kind: &'static str,
    json: String,
) -> Bytes {
    write(
        &Message::new(json)
            .add_header(header(name, kind))
            .add_header(header(":content-type", "application/json"))
            .add_header(header(":message-type", message_type)),
    )
}

/// An error that the stream has no member for: all of it is in the headers.
fn error_frame(code: &'static str, message: &str) -> Message {
    let message = HeaderValue::String(StrBytes::from(message.to_owned()));
    Message::new(Bytes::new())
        .add_header(header(":error-code", code))
        .add_header(Header::new(":error-message", message))
        .add_header(header(":message-type", "error"))
}

fn header(name: &'static str, value: &'static str) -> Header {
    Header::new(name, HeaderValue::String(StrBytes::from(value)))
}

fn write(message: &Message) -> Bytes {
    let mut bytes = Vec::new();
    write_message_to(message, &mut bytes).expect("a frame is far below its maximum size");
    Bytes::from(bytes)
}

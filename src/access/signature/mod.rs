//! Signed requests.
//!
//! A caller that has a signing key proves with each call that it knows the
//! secret, without sending it, and that method and message are those that it
//! meant. It sends the metadata
//!
//! ```text
//! x-signature: t=<time>,n=<nonce>,k=<key id>,v1=<HMAC>
//! ```
//!
//! `t` is in seconds since 1970, `n` is 16 to 64 of letters, digits, `-` and
//! `_` that are never used again, and `v1` is the HMAC-SHA256 in lower-case
//! hexadecimal digits, with the bytes of the secret's text as key, over six
//! lines that are joined by a newline, without one at the end:
//!
//! ```text
//! v1
//! /claude.v1.ClaudeService/Generate
//! <key id>
//! <time>
//! <nonce>
//! <SHA-256 of the message, in lower-case hexadecimal digits>
//! ```
//!
//! The message is the protobuf bytes as they are sent, without the five bytes
//! of the gRPC frame in front and before any compression. They are hashed as
//! received, never re-encoded: protobuf has more than one encoding of the same
//! message. Of a stream, it is the first message, which has the SHA-256 of what follows.

mod header;
mod mac;
mod message;
mod nonces;
mod sign;

pub use header::SignatureHeader;
pub use mac::Signed;
pub use message::{Unread, framed, read_first_message, read_message, remove_encoding};
pub use sign::{Signer, Signing, SigningLayer};

pub(super) use nonces::Nonces;

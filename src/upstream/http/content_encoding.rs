//! Undoes the compression of a body.
//!
//! The service asks for none, but a request that names no encoding accepts any
//! (RFC 9110, section 12.5.3), and some proxies compress what they pass on.

use super::response::BodyBroke;
use crate::claude::unreadable::Unreadable;
use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};
use std::{io, io::Write};

/// Decompresses a body, piece by piece.
pub enum BodyDecoder {
    /// The body is not compressed.
    Identity,
    /// `gzip`.
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// `deflate`, which is the format of zlib.
    Deflate(ZlibDecoder<Vec<u8>>),
}

impl BodyDecoder {
    /// A decoder for the body with these headers.
    ///
    /// # Errors
    /// When its encoding is unknown here.
    pub fn of(headers: &HeaderMap) -> Result<Self, Unreadable> {
        let Some(encoding) = headers.get(CONTENT_ENCODING) else {
            return Ok(BodyDecoder::Identity);
        };
        match &*encoding.as_bytes().trim_ascii().to_ascii_lowercase() {
            b"" | b"identity" => Ok(BodyDecoder::Identity),
            b"gzip" | b"x-gzip" => Ok(BodyDecoder::Gzip(MultiGzDecoder::new(Vec::new()))),
            b"deflate" => Ok(BodyDecoder::Deflate(ZlibDecoder::new(Vec::new()))),
            _ => Err("the body has an unknown content-encoding".into()),
        }
    }

    /// What a piece of the body adds to it.
    ///
    /// # Errors
    /// When the piece is not the compressed data that was announced.
    pub fn decode(&mut self, piece: Bytes) -> Result<Bytes, BodyBroke> {
        match self {
            BodyDecoder::Identity => Ok(piece),
            BodyDecoder::Gzip(decoder) => {
                written(decoder, &piece)?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            BodyDecoder::Deflate(decoder) => {
                written(decoder, &piece)?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
        }
    }
}

fn written(decoder: &mut impl Write, piece: &[u8]) -> Result<(), BodyBroke> {
    let written: io::Result<()> = decoder.write_all(piece).and_then(|()| decoder.flush());
    written.map_err(|_| BodyBroke::Alone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };
    use http::HeaderValue;

    fn decoder(encoding: &'static str) -> Result<BodyDecoder, Unreadable> {
        let value = HeaderValue::from_static(encoding);
        BodyDecoder::of(&HeaderMap::from_iter([(CONTENT_ENCODING, value)]))
    }

    fn decoded(encoding: &'static str, body: &[u8]) -> Vec<u8> {
        let mut decoder = decoder(encoding).unwrap();
        let pieces = body.chunks(3).map(Bytes::copy_from_slice);
        let pieces = pieces.map(|piece| decoder.decode(piece).unwrap());
        pieces.collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_body_is_the_same_in_each_encoding_and_in_any_pieces() {
        let text = "data: {}\n\n".repeat(500).into_bytes();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&text).unwrap();
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::best());
        deflate.write_all(&text).unwrap();
        assert_eq!(decoded("gzip", &gzip.finish().unwrap()), text);
        assert_eq!(decoded(" Deflate ", &deflate.finish().unwrap()), text);
        assert_eq!(decoded("identity", &text), text);
    }

    #[test]
    fn what_is_not_what_was_announced_is_an_error() {
        assert!(decoder("br").is_err());
        let mut gzip = decoder("gzip").unwrap();
        assert!(
            gzip.decode(Bytes::from_static(b"{\"id\":\"msg_1\"}"))
                .is_err()
        );
    }

    #[test]
    fn an_event_that_was_flushed_arrives_at_once() {
        let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(b"data: 1\n\n").unwrap();
        compressed.flush().unwrap();
        let mut gzip = decoder("gzip").unwrap();
        let piece = Bytes::from(compressed.get_ref().clone());
        assert_eq!(&gzip.decode(piece).unwrap()[..], b"data: 1\n\n");
    }
}

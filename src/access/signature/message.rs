//! The message of a call, or the first one of a stream, as it was received.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use std::{convert::Infallible, io::Read};
use tonic::{body::Body, codegen::StdError};

/// The prefix of each message: the compression flag and the length.
const FRAME_HEADER: usize = 5;

const ENCODING: &str = "grpc-encoding";

/// Why a body is not a single valid message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The message exceeds the limit, as sent or after decompression.
    TooLarge,
    /// It is not a gRPC message, there is more than one, or it was cut off.
    Malformed,
}

/// Reads the single message of a call and decompresses it. Never holds more
/// than the limit of either form.
///
/// # Errors
/// [`Unread`].
pub async fn read_message<B>(
    headers: &HeaderMap,
    body: B,
    max_bytes: usize,
) -> Result<Bytes, Unread>
where
    B: http_body::Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut received = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Malformed)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        received.extend_from_slice(&data);
        if let Some(length) = announced(&received) {
            if length > max_bytes {
                return Err(Unread::TooLarge);
            }
            if received.len() > FRAME_HEADER + length {
                return Err(Unread::Malformed);
            }
        }
    }
    let length = announced(&received).ok_or(Unread::Malformed)?;
    let compressed = received[0];
    received.advance(FRAME_HEADER);
    if received.len() != length {
        return Err(Unread::Malformed);
    }
    match compressed {
        0 => Ok(received.freeze()),
        1 => uncompressed(headers, &received, max_bytes),
        _ => Err(Unread::Malformed),
    }
}

/// Reads the first message of a stream and decompresses it, and returns a body with all of
/// them as they were. Never holds more than the limit of the first one.
///
/// # Errors
/// [`Unread`].
pub async fn read_first_message<B>(
    headers: &HeaderMap,
    body: B,
    max_bytes: usize,
) -> Result<(Bytes, Body), Unread>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    let mut body = Box::pin(body);
    let mut received = BytesMut::new();
    let length = loop {
        match announced(&received) {
            Some(length) if length > max_bytes => return Err(Unread::TooLarge),
            Some(length) if received.len() >= FRAME_HEADER + length => break length,
            _ => {}
        }
        let frame = body.frame().await.ok_or(Unread::Malformed)?;
        let frame = frame.map_err(|_| Unread::Malformed)?;
        if let Ok(data) = frame.into_data() {
            received.extend_from_slice(&data);
        }
    };
    let received = received.freeze();
    let first = received.slice(FRAME_HEADER..FRAME_HEADER + length);
    let message = match received[0] {
        0 => first,
        1 => uncompressed(headers, &first, max_bytes)?,
        _ => return Err(Unread::Malformed),
    };
    let rest = BodyStream::new(body.map_err(Into::into));
    let frames = stream::iter([Ok::<_, StdError>(Frame::data(received))]).chain(rest);
    Ok((message, Body::new(StreamBody::new(frames))))
}

/// A message as a body. The codec receives exactly what was verified.
pub fn framed(message: Bytes) -> Body {
    let mut header = BytesMut::with_capacity(FRAME_HEADER);
    header.put_u8(0);
    // The message came in a frame, whose length has 32 bits.
    header.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    let frames = [header.freeze(), message].map(|data| Ok::<_, Infallible>(Frame::data(data)));
    Body::new(StreamBody::new(stream::iter(frames)))
}

/// Removes the encoding header after decompression.
pub fn remove_encoding(headers: &mut HeaderMap) {
    headers.remove(ENCODING);
}

fn announced(received: &[u8]) -> Option<usize> {
    let length = received.get(1..FRAME_HEADER)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    usize::try_from(length).ok()
}

fn uncompressed(headers: &HeaderMap, message: &[u8], max: usize) -> Result<Bytes, Unread> {
    let encoding = headers.get(ENCODING).map(|value| value.as_bytes());
    match encoding {
        Some(b"gzip") => bounded(flate2::read::GzDecoder::new(message), max),
        Some(b"deflate") => bounded(flate2::read::ZlibDecoder::new(message), max),
        Some(b"zstd") => {
            let decoder = zstd::stream::read::Decoder::with_buffer(message);
            bounded(decoder.map_err(|_| Unread::Malformed)?, max)
        }
        _ => Err(Unread::Malformed),
    }
}

fn bounded(decoder: impl Read, max: usize) -> Result<Bytes, Unread> {
    let mut message = Vec::new();
    // One byte beyond the limit reveals that there is more.
    let mut decoder = decoder.take(max as u64 + 1);
    decoder
        .read_to_end(&mut message)
        .map_err(|_| Unread::Malformed)?;
    if message.len() > max {
        return Err(Unread::TooLarge);
    }
    Ok(Bytes::from(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn frame(flag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend_from_slice(&(content.len() as u32).to_be_bytes());
        bytes.extend_from_slice(content);
        bytes
    }

    async fn read(encoding: &'static str, sent: &[u8], piece: usize) -> Result<Bytes, Unread> {
        let mut headers = HeaderMap::new();
        headers.insert(ENCODING, encoding.parse().unwrap());
        let pieces: Vec<_> = sent
            .chunks(piece)
            .map(|data| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(data))))
            .collect();
        read_message(&headers, StreamBody::new(stream::iter(pieces)), 1000).await
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_message_is_read_whatever_it_was_cut_into_or_compressed_with() {
        let content = [7; 1000];
        let plain = frame(0, &content);
        let gzipped = frame(1, &gzip(&content));
        let zstd = frame(1, &zstd::encode_all(&content[..], 3).unwrap());
        for piece in [1, 4, 5, 6, 2000] {
            assert_eq!(read("identity", &plain, piece).await.unwrap(), &content[..]);
            assert_eq!(read("gzip", &gzipped, piece).await.unwrap(), &content[..]);
            assert_eq!(read("zstd", &zstd, piece).await.unwrap(), &content[..]);
        }
        assert_eq!(read("gzip", &frame(0, b""), 9).await.unwrap(), &b""[..]);
    }

    #[tokio::test]
    async fn too_large_is_refused_before_and_after_decompression() {
        let bomb = vec![0; 1001];
        let table = [
            ("identity", frame(0, &bomb)),
            ("identity", frame(0, &bomb)[..5].to_vec()),
            ("gzip", frame(1, &gzip(&bomb))),
            ("zstd", frame(1, &zstd::encode_all(&bomb[..], 3).unwrap())),
        ];
        for (encoding, sent) in table {
            assert_eq!(read(encoding, &sent, 100).await, Err(Unread::TooLarge));
        }
    }

    #[tokio::test]
    async fn anything_else_is_malformed() {
        let two = [frame(0, b"a"), frame(0, b"b")].concat();
        let table = [
            ("identity", Vec::new()),
            ("identity", vec![0; 4]),
            ("identity", frame(0, b"abc")[..7].to_vec()),
            ("identity", two),
            ("identity", frame(2, b"a")),
            ("identity", frame(1, b"a")),
            ("deflate", frame(1, b"a")),
            ("gzip", frame(1, b"no gzip")),
            ("zstd", frame(1, b"no zstd")),
        ];
        for (encoding, sent) in table {
            let read = read(encoding, &sent, 100).await;
            assert_eq!(read, Err(Unread::Malformed), "{encoding} {sent:?}");
        }
    }
}

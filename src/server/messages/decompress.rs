//! Decompresses a message piece by piece, within bounds.

use super::chunks::Chunks;
use bytes::{Buf, Bytes};
use flate2::read::{GzDecoder, ZlibDecoder};
use http::HeaderMap;
use std::io::{self, Read};

/// How much is decompressed at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// The largest window of Zstandard, as a power of two: 8 MiB, which RFC 8878
/// (3.1.1.1.2) recommends. A few bytes can ask for gigabytes.
const MAX_WINDOW_LOG: u32 = 23;

/// How many times larger than sent a message may be. Text is compressed about
/// tenfold.
pub const MAX_RATIO: usize = 200;

/// What a message may decompress to at any ratio, in bytes.
const FREE_OF_RATIO: usize = 1024 * 1024;

/// A message that is being decompressed.
pub struct Decompression {
    decoder: Box<dyn Read + Send>,
    yielded: usize,
    longest: usize,
    /// By the ratio, in bytes.
    longest_for_its_size: usize,
}

/// Why a message cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecompressed {
    /// It is larger than a message may be.
    TooLarge,
    /// It is over [`MAX_RATIO`] times larger than sent.
    TooDense,
    /// It is not in the encoding of the header, or in one that is not known.
    Malformed,
}

impl Decompression {
    /// Begins to decompress a message of this size, in the encoding of the
    /// header `grpc-encoding`, to at most `longest` bytes.
    ///
    /// # Errors
    /// [`Undecompressed::Malformed`] for an unknown encoding.
    pub fn begin(
        headers: &HeaderMap,
        compressed: Chunks,
        longest: usize,
    ) -> Result<Self, Undecompressed> {
        let size = compressed.len();
        let pieces = CompressedBytes {
            chunk: Bytes::new(),
            rest: compressed,
        };
        let encoding = headers.get("grpc-encoding").map(|value| value.as_bytes());
        let decoder: Box<dyn Read + Send> = match encoding {
            Some(b"gzip") => Box::new(GzDecoder::new(pieces)),
            // As in HTTP, with the header and checksum of zlib.
            Some(b"deflate") => Box::new(ZlibDecoder::new(pieces)),
            Some(b"zstd") => Box::new(zstd(pieces).map_err(|_| Undecompressed::Malformed)?),
            _ => return Err(Undecompressed::Malformed),
        };
        Ok(Decompression {
            decoder,
            yielded: 0,
            longest,
            longest_for_its_size: size.saturating_mul(MAX_RATIO).max(FREE_OF_RATIO),
        })
    }

    /// How much it has yielded, in bytes.
    pub fn yielded(&self) -> usize {
        self.yielded
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the message is too large, too dense or malformed.
    pub fn next(&mut self) -> Result<Option<Bytes>, Undecompressed> {
        let mut piece = Vec::new();
        let read = (&mut self.decoder).take(PIECE as u64);
        { read }
            .read_to_end(&mut piece)
            .map_err(|_| Undecompressed::Malformed)?;
        self.yielded += piece.len();
        if self.yielded > self.longest {
            return Err(Undecompressed::TooLarge);
        }
        if self.yielded > self.longest_for_its_size {
            return Err(Undecompressed::TooDense);
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

fn zstd(pieces: CompressedBytes) -> io::Result<impl Read + Send> {
    let mut decoder = zstd::stream::read::Decoder::new(pieces)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}

/// Reads chunks, and drops each once it was read.
struct CompressedBytes {
    chunk: Bytes,
    rest: Chunks,
}

impl Read for CompressedBytes {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk = self.rest.pop_front().unwrap_or_default();
        }
        let count = self.chunk.len().min(to.len());
        self.chunk.copy_to_slice(&mut to[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn decompressed(
        encoding: &'static str,
        compressed: &[u8],
        longest: usize,
    ) -> Result<Vec<u8>, Undecompressed> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-encoding", HeaderValue::from_static(encoding));
        let mut pieces = Chunks::default();
        for piece in compressed.chunks(7) {
            pieces.extend(piece);
        }
        let mut decompression = Decompression::begin(&headers, pieces, longest)?;
        let mut all = Vec::new();
        while let Some(piece) = decompression.next()? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    #[test]
    fn every_encoding_is_read_up_to_the_limit() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let zstd = zstd::encode_all(&content[..], 3).unwrap();
        for (encoding, compressed) in [
            ("gzip", gzip(&content)),
            ("deflate", deflate(&content)),
            ("zstd", zstd),
        ] {
            let read = |longest| decompressed(encoding, &compressed, longest);
            assert_eq!(read(400_000).as_deref(), Ok(&content[..]));
            assert_eq!(read(399_999), Err(Undecompressed::TooLarge));
        }
        assert_eq!(decompressed("br", b"", 1), Err(Undecompressed::Malformed));
        assert_eq!(
            decompressed("gzip", b"no", 9),
            Err(Undecompressed::Malformed)
        );
    }

    #[test]
    fn a_bomb_is_refused_by_its_ratio() {
        let zeros = vec![0; 8 * FREE_OF_RATIO];
        let zstd = zstd::encode_all(&zeros[..], 19).unwrap();
        for (encoding, bomb) in [
            ("gzip", gzip(&zeros)),
            ("deflate", deflate(&zeros)),
            ("zstd", zstd),
        ] {
            let read = decompressed(encoding, &bomb, usize::MAX);
            assert_eq!(read, Err(Undecompressed::TooDense), "{encoding}");
            let small = decompressed(encoding, &bomb[..bomb.len().min(64)], usize::MAX);
            assert!(small.is_err());
        }
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"a few bytes").unwrap();
        let small = encoder.finish().unwrap();
        assert_eq!(
            decompressed("zstd", &small, 100),
            Err(Undecompressed::Malformed)
        );
    }
}

//! Files that are compressed with gzip or Zstandard: all members or frames, one after the
//! other.

use super::bounds::{Counted, Unpacked, UnreadableDocument};
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// What begins a member of gzip.
const GZIP: &[u8] = b"\x1f\x8b";

/// What gzip has compressed.
pub fn gzip<'a>(input: &'a mut dyn BufRead) -> impl BufRead + 'a {
    let (counted, taken) = Counted::new(input);
    let members = Members {
        decoder: Some(GzDecoder::new(counted)),
    };
    let advice = "decompress it with `gzip -d` if it is what you want";
    BufReader::new(Unpacked::new(members, taken, advice))
}

/// What Zstandard has compressed.
///
/// # Errors
/// When there is no memory for it.
pub fn zstd<'a>(input: &'a mut dyn BufRead) -> Result<impl BufRead + 'a, UnreadableDocument> {
    let (counted, taken) = Counted::new(input);
    let decoder = zstd::stream::read::Decoder::with_buffer(counted)?;
    let advice = "decompress it with `zstd -d` if it is what you want";
    Ok(BufReader::new(Unpacked::new(decoder, taken, advice)))
}

/// The file name without its last extension, as of what is inside.
pub fn inner_name(name: &str) -> &str {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    match extension.to_ascii_lowercase().as_str() {
        "gz" | "gzip" | "zst" | "zstd" | "z" => stem,
        _ => name,
    }
}

/// The members of a file, of which the decoder only knows one. What follows the last one
/// is ignored, as gzip does.
struct Members<R> {
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let length = decoder.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let next = self.decoder.take().map(GzDecoder::into_inner);
            if let Some(mut input) = next
                && input.fill_buf()?.first() == GZIP.first()
            {
                self.decoder = Some(GzDecoder::new(input));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        gzip(&mut &bytes[..]).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn all_members_are_read_and_what_follows_them_is_not() {
        let members = [packed(b"one "), packed(b"two"), b"\0\0\0".to_vec()].concat();
        assert_eq!(unpacked(&members).unwrap(), "one two");
        let cut = &members[..20];
        assert!(unpacked(cut).is_err());
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = packed(&vec![b'a'; 4 << 20]);
        let error = unpacked(&bomb).unwrap_err().to_string();
        assert!(error.contains("200 times its size"), "{error}");
        let frames = zstd::encode_all(&vec![b'a'; 4 << 20][..], 1).unwrap();
        let mut text = String::new();
        let mut frames = &frames[..];
        assert!(
            zstd(&mut frames)
                .unwrap()
                .read_to_string(&mut text)
                .is_err()
        );
    }

    #[test]
    fn a_name_loses_the_extension_of_the_compression() {
        assert_eq!(inner_name("ls.1.gz"), "ls.1");
        assert_eq!(inner_name("log.zst"), "log");
        assert_eq!(inner_name("a.txt"), "a.txt");
    }
}

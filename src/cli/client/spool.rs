//! What is read of an input that can be read only once: in memory, or in a temporary file if
//! it is long.

use super::reader::LONGEST_MESSAGE;
use std::{
    env,
    fs::File,
    io::{self, Read, Seek, Write},
};

/// The content of a document, whatever it is.
#[derive(Debug)]
pub enum DocumentBody {
    /// All of it.
    Bytes(Vec<u8>),
    /// A file, at its beginning.
    File(File),
}

// === impl DocumentBody ===

impl DocumentBody {
    /// Reads an input to its end. What is longer than a message goes to a file without a name
    /// in the folder for temporary files (`TMPDIR`), which ends with the process.
    ///
    /// # Errors
    /// When the input cannot be read, or the file cannot be written.
    pub fn of(mut input: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let mut beginning = input.by_ref().take(LONGEST_MESSAGE + 1);
        beginning.read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= LONGEST_MESSAGE {
            return Ok(DocumentBody::Bytes(bytes));
        }
        let mut file = tempfile::tempfile().map_err(|error| {
            let folder = env::temp_dir();
            let reason = format!("a temporary file in {}: {error}", folder.display());
            io::Error::new(error.kind(), reason)
        })?;
        file.write_all(&bytes)?;
        drop(bytes);
        io::copy(&mut input, &mut file)?;
        file.rewind()?;
        Ok(DocumentBody::File(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_a_message_goes_to_a_file() {
        let longest = usize::try_from(LONGEST_MESSAGE).unwrap();
        for length in [0, longest, longest + 1, 3 * longest] {
            let input: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut read = Vec::new();
            match DocumentBody::of(&input[..]).unwrap() {
                DocumentBody::Bytes(bytes) if length <= longest => read = bytes,
                DocumentBody::File(mut file) if length > longest => {
                    file.read_to_end(&mut read).unwrap();
                }
                other => panic!("{length}: {other:?}"),
            }
            assert!(read == input, "{length}");
        }
    }
}

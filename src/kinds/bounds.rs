//! The bounds of what is read and written, and what is said when a document exceeds one.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufRead, Read, Write},
    rc::Rc,
};

/// Maximum size of the text of a document, and of what is unpacked of it, in bytes.
pub const MAX_TEXT: u64 = 512 * 1024 * 1024;

/// Maximum size of a document that is held as a whole, in bytes.
const MAX_WHOLE: u64 = 128 * 1024 * 1024;

/// Maximum ratio of what is unpacked to what it was packed in. Logs reach 100.
const MAX_RATIO: u64 = 200;

/// Below this size in bytes, the ratio does not matter: nothing is a bomb.
const RATIO_FLOOR: u64 = 1024 * 1024;

/// Why a document cannot be read, and what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableDocument {
    /// What it is, if it is known.
    title: Option<&'static str>,
    reason: String,
    advice: &'static str,
}

/// Where the text of a document is written.
pub struct TextSink<'a> {
    output: &'a mut dyn Write,
    written: u64,
    has_text: bool,
}

/// What is unpacked, within the ratio to what it was packed in.
pub struct Unpacked<R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    advice: &'static str,
}

/// Counts what is taken from a reader.
pub struct Counted<R> {
    inner: R,
    taken: Rc<Cell<u64>>,
}

// === impl UnreadableDocument ===

impl UnreadableDocument {
    /// Makes one of a reason and of what would help; empty if nothing would.
    pub fn new(reason: impl Into<String>, advice: &'static str) -> Self {
        UnreadableDocument {
            title: None,
            reason: reason.into(),
            advice,
        }
    }

    /// Of a document that is this, unless it is known to be something else.
    pub fn of(mut self, title: &'static str) -> Self {
        self.title.get_or_insert(title);
        self
    }

    /// With this advice, unless it has one.
    pub fn or_advice(mut self, advice: &'static str) -> Self {
        if self.advice.is_empty() {
            self.advice = advice;
        }
        self
    }
}

impl fmt::Display for UnreadableDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.title {
            Some(title) => write!(f, "failed to read it as {title}: {}", self.reason)?,
            None => write!(f, "failed to read it: {}", self.reason)?,
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for UnreadableDocument {}

impl From<io::Error> for UnreadableDocument {
    fn from(error: io::Error) -> Self {
        match error.downcast::<UnreadableDocument>() {
            Ok(unreadable) => unreadable,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                UnreadableDocument::new("it is truncated", "")
            }
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                UnreadableDocument::new("it takes too much memory", "split it")
            }
            Err(error) => UnreadableDocument::new(error.to_string(), ""),
        }
    }
}

impl From<UnreadableDocument> for io::Error {
    fn from(error: UnreadableDocument) -> Self {
        io::Error::other(error)
    }
}

// === impl TextSink ===

impl<'a> TextSink<'a> {
    /// Writes to `output`.
    pub fn new(output: &'a mut dyn Write) -> Self {
        TextSink {
            output,
            written: 0,
            has_text: false,
        }
    }

    /// Writes a piece of the text.
    ///
    /// # Errors
    /// When it cannot be written, or the text is too long.
    pub fn push(&mut self, text: &str) -> io::Result<()> {
        self.written += text.len() as u64;
        if self.written > MAX_TEXT {
            let reason = format!("its text has more than {} MiB", MAX_TEXT >> 20);
            return Err(UnreadableDocument::new(reason, "split it").into());
        }
        self.has_text = self.has_text || !text.trim().is_empty();
        self.output.write_all(text.as_bytes())
    }

    /// Writes all of a document that is not text, and nothing else.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push_whole(&mut self, document: &[u8]) -> io::Result<()> {
        self.has_text = true;
        self.output.write_all(document)
    }

    /// Completes the text.
    ///
    /// # Errors
    /// When it cannot be written, or there is none.
    pub fn end(&mut self) -> Result<(), UnreadableDocument> {
        if !self.has_text {
            return Err(UnreadableDocument::new("it has no text", ""));
        }
        Ok(self.output.flush()?)
    }

    /// Whether there is any text yet.
    pub fn has_text(&self) -> bool {
        self.has_text
    }
}

/// Reads all that is left.
///
/// # Errors
/// When it cannot be read, or is too large.
pub fn whole(input: &mut dyn Read) -> Result<Vec<u8>, UnreadableDocument> {
    let mut bytes = Vec::new();
    input.take(MAX_WHOLE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_WHOLE {
        let reason = format!("it has more than {} MiB", MAX_WHOLE >> 20);
        return Err(UnreadableDocument::new(reason, "convert it to text"));
    }
    Ok(bytes)
}

// === impl Unpacked ===

impl<R> Unpacked<R> {
    /// What `inner` unpacks from as many bytes as `packed` says.
    pub fn new(inner: R, packed: Rc<Cell<u64>>, advice: &'static str) -> Self {
        Unpacked {
            inner,
            packed,
            unpacked: 0,
            advice,
        }
    }

    /// Counts what else was unpacked.
    pub fn after(mut self, unpacked: u64) -> Self {
        self.unpacked = unpacked;
        self
    }

    /// How much has been unpacked, in bytes.
    pub fn unpacked(&self) -> u64 {
        self.unpacked
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.unpacked += length as u64;
        let reason = if self.unpacked > MAX_TEXT {
            format!("it unpacks to more than {} MiB", MAX_TEXT >> 20)
        } else if self.unpacked > RATIO_FLOOR.max(self.packed.get().saturating_mul(MAX_RATIO)) {
            format!("it unpacks to more than {MAX_RATIO} times its size, as a bomb does")
        } else {
            return Ok(length);
        };
        Err(UnreadableDocument::new(reason, self.advice).into())
    }
}

// === impl Counted ===

impl<R> Counted<R> {
    /// Counts what is taken from `inner`.
    pub fn new(inner: R) -> (Self, Rc<Cell<u64>>) {
        let taken = Rc::new(Cell::new(0));
        let counter = Rc::clone(&taken);
        (Counted { inner, taken }, counter)
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.taken.set(self.taken.get() + length as u64);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.taken.set(self.taken.get() + amount as u64);
        self.inner.consume(amount);
    }
}

//! Server-sent events, with the framing of the HTML standard (§ 9.2.6,
//! "Interpreting an event stream").
//!
//! Bytes may be split anywhere, also in the middle of a character or of a CR LF
//! pair; only complete events are returned. Lines end in LF, CR LF or CR. An
//! event that is not closed by an empty line is dropped, as the standard
//! requires.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// Maximum size of one event in bytes. The largest events of the API contain
/// one content block; a peer that never ends a line must not exhaust the
/// memory.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The last `event:` field; empty when there was none.
    pub name: Bytes,
    /// The `data:` fields, joined by LF.
    pub data: Bytes,
}

/// An event exceeds the maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a server-sent event is longer than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLong;

/// Decodes bytes into events.
#[derive(Debug, Default)]
pub struct SseDecoder {
    buffer: BytesMut,
    /// How much of `buffer` is known to contain no line end.
    scanned: usize,
    /// The last line ended in CR: an LF directly after it belongs to it.
    after_cr: bool,
    /// The byte order mark at the beginning, if any, has been handled.
    begun: bool,
    name: Bytes,
    data: Data,
    pending_bytes: usize,
}

/// The `data:` fields of an event so far.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// A single field, as in nearly every event: not copied.
    One(Bytes),
    /// Several fields, each copied once.
    Joined(BytesMut),
}

impl Data {
    fn push(&mut self, value: Bytes) {
        *self = match std::mem::take(self) {
            Data::None => Data::One(value),
            Data::One(first) => Data::Joined(joined(BytesMut::from(first), &value)),
            Data::Joined(before) => Data::Joined(joined(before, &value)),
        };
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::take(self) {
            Data::None => None,
            Data::One(data) => Some(data),
            Data::Joined(data) => Some(data.freeze()),
        }
    }
}

fn joined(mut before: BytesMut, value: &[u8]) -> BytesMut {
    before.extend_from_slice(b"\n");
    before.extend_from_slice(value);
    before
}

impl SseDecoder {
    /// Adds more bytes. Call [`next_event`](Self::next_event) until it returns
    /// `None` before adding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`EventTooLong`] when an event exceeds 16 MiB; the stream is then
    /// unusable.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, EventTooLong> {
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                self.pending_bytes = 0;
                let name = std::mem::take(&mut self.name);
                if let Some(data) = self.data.take() {
                    return Ok(Some(SseEvent { name, data }));
                }
                continue;
            }
            self.pending_bytes += line.len();
            self.field(line);
            self.check_size(0)?;
        }
        self.check_size(self.buffer.len())?;
        Ok(None)
    }

    fn check_size(&self, unread: usize) -> Result<(), EventTooLong> {
        if self.pending_bytes + unread > MAX_EVENT_BYTES {
            return Err(EventTooLong);
        }
        Ok(())
    }

    /// Removes one line from the buffer and returns it without its end.
    fn next_line(&mut self) -> Option<Bytes> {
        if self.after_cr && !self.buffer.is_empty() {
            self.after_cr = false;
            if self.buffer[0] == b'\n' {
                self.buffer.advance(1);
            }
        }
        let unscanned = &self.buffer[self.scanned..];
        let Some(offset) = unscanned.iter().position(|&b| b == b'\n' || b == b'\r') else {
            self.scanned = self.buffer.len();
            return None;
        };
        let end = self.scanned + offset;
        self.scanned = 0;
        let mut line = self.buffer.split_to(end).freeze();
        self.after_cr = self.buffer[0] == b'\r';
        self.buffer.advance(1);
        if !self.begun {
            self.begun = true;
            if line.starts_with(b"\xEF\xBB\xBF") {
                line.advance(3);
            }
        }
        Some(line)
    }

    fn field(&mut self, line: Bytes) {
        let (name_len, value_at) = match line.iter().position(|&b| b == b':') {
            Some(colon) if line.get(colon + 1) == Some(&b' ') => (colon, colon + 2),
            Some(colon) => (colon, colon + 1),
            None => (line.len(), line.len()),
        };
        match &line[..name_len] {
            b"event" => self.name = line.slice(value_at..),
            b"data" => self.data.push(line.slice(value_at..)),
            // Comments (an empty name), `id`, `retry` and unknown fields.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for piece in pieces {
            decoder.feed(piece);
            while let Some(event) = decoder.next_event().unwrap() {
                events.push((
                    String::from_utf8(event.name.to_vec()).unwrap(),
                    String::from_utf8(event.data.to_vec()).unwrap(),
                ));
            }
        }
        events
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn reads_fields_comments_and_all_line_ends() {
        let bytes = b"\xEF\xBB\xBF: hello\nevent: a\r\ndata: 1\r\n\r\nevent:b\rdata:2\rdata: 3\r\rid: 7\ndata\n\n";
        assert_eq!(
            decode(&[bytes]),
            [pair("a", "1"), pair("b", "2\n3"), pair("", "")]
        );
    }

    #[test]
    fn drops_an_event_that_is_not_closed() {
        assert_eq!(decode(&[b"data: 1\n\ndata: 2\n"]), [pair("", "1")]);
        assert_eq!(decode(&[b"event: only a name\n\n"]), []);
    }

    #[test]
    fn refuses_an_endless_line() {
        let mut decoder = SseDecoder::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let outcome = (0..20).try_for_each(|_| {
            decoder.feed(&chunk);
            decoder.next_event().map(|event| assert_eq!(event, None))
        });
        assert_eq!(outcome, Err(EventTooLong));
    }

    /// Copying all previous lines for each line would take minutes.
    #[test]
    fn many_short_lines_take_no_longer_than_few_long_ones() {
        let mut decoder = SseDecoder::default();
        let lines = 1024 * 1024;
        let begun = std::time::Instant::now();
        decoder.feed(&b"data:\n".repeat(lines));
        assert_eq!(decoder.next_event(), Ok(None));
        decoder.feed(b"\n");
        let event = decoder.next_event().unwrap().unwrap();
        assert_eq!(event.data.len(), lines - 1);
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    }

    proptest! {
        /// However the bytes are split, the events are the same.
        #[test]
        fn any_split_gives_the_same_events(
            events in prop::collection::vec(("[a-z_]{1,12}", "[^\r\n\u{feff}]{0,40}"), 0..8),
            end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text: String = events
                .iter()
                .map(|(name, data)| format!("event: {name}{end}data: {data}{end}{end}"))
                .collect();
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(&decode(&pieces), &events);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&decode(&single), &events);
        }

        /// No input causes a panic.
        #[test]
        fn arbitrary_bytes_are_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16)) {
            let mut decoder = SseDecoder::default();
            for piece in &pieces {
                decoder.feed(piece);
                while decoder.next_event().unwrap().is_some() {}
            }
        }
    }
}

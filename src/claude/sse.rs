//! Server-sent events, with the framing of the HTML standard (§ 9.2.6,
//! "Interpreting an event stream").
//!
//! Bytes may be split anywhere, also in the middle of a character or of a CR LF
//! pair; only complete events are returned. Lines end in LF, CR LF or CR. An
//! event that is not closed by an empty line is dropped, as the standard
//! requires.

use memchr::{memchr, memchr2};
use std::{mem, ops::Range};
use thiserror::Error;

/// Maximum size of one event in bytes. The largest events of the API contain
/// one content block; a peer that never ends a line must not exhaust the
/// memory.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// One server-sent event, in the decoder's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The last `event:` field; empty when there was none.
    pub name: &'a [u8],
    /// The `data:` fields, joined by LF.
    pub data: &'a [u8],
}

/// An event exceeds the maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a server-sent event is longer than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLong;

/// Decodes bytes into events. An event is read where it was received; nothing
/// is allocated for it.
#[derive(Debug, Default)]
pub struct SseDecoder {
    buffer: Vec<u8>,
    /// Start of the first line that was not read.
    line_start: usize,
    /// How much of `buffer` is known to contain no further line end.
    scanned: usize,
    /// The last line ended in CR: an LF directly after it belongs to it.
    after_cr: bool,
    /// The byte order mark at the beginning, if any, has been handled.
    begun: bool,
    /// Where the last `event:` field is in the buffer.
    name: Range<usize>,
    data: Data,
    /// Several `data:` fields, each copied once.
    joined: Vec<u8>,
    pending_bytes: usize,
}

/// The `data:` fields of an event so far.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// A single field, as in nearly every event: where it is in the buffer.
    One(Range<usize>),
    /// Several fields, which were joined.
    Joined,
}

impl SseDecoder {
    /// Adds more bytes. Call [`next_event`](Self::next_event) until it returns
    /// `None` before adding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.forget_what_was_read();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`EventTooLong`] when an event exceeds 16 MiB; the stream is then
    /// unusable.
    pub fn next_event(&mut self) -> Result<Option<SseEvent<'_>>, EventTooLong> {
        if !self.read_event()? {
            return Ok(None);
        }
        let data = match mem::take(&mut self.data) {
            Data::One(field) => &self.buffer[field],
            Data::Joined | Data::None => &self.joined[..],
        };
        let name = &self.buffer[mem::take(&mut self.name)];
        Ok(Some(SseEvent { name, data }))
    }

    /// Reads lines to the end of an event that has data; `false` when more
    /// bytes are needed.
    fn read_event(&mut self) -> Result<bool, EventTooLong> {
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                self.pending_bytes = 0;
                if !matches!(self.data, Data::None) {
                    return Ok(true);
                }
                self.name = 0..0;
                continue;
            }
            self.pending_bytes += line.len();
            self.field(line);
            self.check_size(0)?;
        }
        self.check_size(self.buffer.len() - self.line_start)?;
        Ok(false)
    }

    fn check_size(&self, unread: usize) -> Result<(), EventTooLong> {
        if self.pending_bytes + unread > MAX_EVENT_BYTES {
            return Err(EventTooLong);
        }
        Ok(())
    }

    /// Where the next line is in the buffer, without its end.
    fn next_line(&mut self) -> Option<Range<usize>> {
        if self.after_cr && self.line_start < self.buffer.len() {
            self.after_cr = false;
            if self.buffer[self.line_start] == b'\n' {
                self.line_start += 1;
                self.scanned = self.line_start;
            }
        }
        let unscanned = &self.buffer[self.scanned..];
        let Some(offset) = memchr2(b'\n', b'\r', unscanned) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let mut line = self.line_start..self.scanned + offset;
        self.after_cr = self.buffer[line.end] == b'\r';
        self.line_start = line.end + 1;
        self.scanned = self.line_start;
        if !self.begun {
            self.begun = true;
            if self.buffer[line.clone()].starts_with(b"\xEF\xBB\xBF") {
                line.start += 3;
            }
        }
        Some(line)
    }

    fn field(&mut self, line: Range<usize>) {
        let text = &self.buffer[line.clone()];
        let (name_len, value_at) = match memchr(b':', text) {
            Some(colon) if text.get(colon + 1) == Some(&b' ') => (colon, colon + 2),
            Some(colon) => (colon, colon + 1),
            None => (text.len(), text.len()),
        };
        let value = line.start + value_at..line.end;
        match &text[..name_len] {
            b"event" => self.name = value,
            b"data" => self.add_data(value),
            // Comments (an empty name), `id`, `retry` and unknown fields.
            _ => {}
        }
    }

    fn add_data(&mut self, value: Range<usize>) {
        self.data = match mem::take(&mut self.data) {
            Data::None => Data::One(value),
            Data::One(first) => {
                self.joined.clear();
                self.joined.extend_from_slice(&self.buffer[first]);
                self.join(value)
            }
            Data::Joined => self.join(value),
        };
    }

    fn join(&mut self, value: Range<usize>) -> Data {
        self.joined.push(b'\n');
        self.joined.extend_from_slice(&self.buffer[value]);
        Data::Joined
    }

    /// Removes from the buffer what no field of the open event needs.
    fn forget_what_was_read(&mut self) {
        let mut kept = self.line_start;
        if !self.name.is_empty() {
            kept = kept.min(self.name.start);
        }
        if let Data::One(field) = &self.data {
            kept = kept.min(field.start);
        }
        if kept == 0 {
            return;
        }
        self.buffer.drain(..kept);
        self.line_start -= kept;
        self.scanned -= kept;
        if self.name.is_empty() {
            self.name = 0..0;
        } else {
            self.name = self.name.start - kept..self.name.end - kept;
        }
        if let Data::One(field) = &mut self.data {
            *field = field.start - kept..field.end - kept;
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

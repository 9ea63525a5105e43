//! Where in its requests an HTTP/2 peer is, from the headers of its frames.
//!
//! The HTTP library waits as long as it takes for the rest of a preface or of a
//! block of headers, and does not tell that it waits. This follows the frames
//! just far enough to tell; what is invalid is left to the library.

/// What each HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length of the header of a frame.
const HEADER: usize = 9;

// Types and flags of frames (RFC 9113, 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// What each block of headers counts in addition to its bytes: the library keeps
/// several hundred for a request whose head has ten.
const BLOCK: u64 = 32;

/// Follows what a peer sends.
#[derive(Debug)]
pub struct RequestFrames {
    position: Position,
    /// Number of bytes so far.
    received: u64,
    /// Number of bytes so far that are blocks of headers, and [`BLOCK`] for each.
    headers: u64,
    /// The block of headers that the last frames are the beginning of.
    partial: Option<PartialHeaders>,
    /// Whether the peer's SETTINGS are complete.
    has_begun: bool,
    /// Whether a block of headers has begun and not ended.
    in_headers: bool,
    /// Number of parts that are complete, see [`Self::unfinished`].
    parts: u64,
}

#[derive(Debug)]
struct PartialHeaders {
    stream: [u8; 4],
    /// Number of bytes before the last one of its first frame.
    begins: u64,
}

#[derive(Debug)]
enum Position {
    /// After this many bytes of the preface.
    Preface(usize),
    /// After this many bytes of the header of a frame.
    Header([u8; HEADER], usize),
    /// In a frame that has this many bytes to come.
    Payload {
        kind: u8,
        flags: u8,
        stream: [u8; 4],
        left: usize,
    },
    /// HTTP/1.1, whose heads the library limits by itself.
    Http1,
}

impl Default for RequestFrames {
    fn default() -> Self {
        RequestFrames {
            position: Position::Preface(0),
            received: 0,
            headers: 0,
            partial: None,
            has_begun: false,
            in_headers: false,
            parts: 0,
        }
    }
}

impl RequestFrames {
    /// The number of the part that the peer must finish, if there is one: the
    /// preface with the SETTINGS, a block of headers, or any frame except DATA.
    pub fn unfinished(&self) -> Option<u64> {
        let finished = match self.position {
            Position::Preface(_) => false,
            Position::Header(_, filled) => filled == 0 && self.has_begun && !self.in_headers,
            Position::Payload { kind, .. } => kind == DATA && self.has_begun,
            Position::Http1 => true,
        };
        (!finished).then_some(self.parts)
    }

    /// Number of bytes so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Number of bytes so far that are blocks of headers, and [`BLOCK`] for each.
    pub fn headers(&self) -> u64 {
        self.headers
    }

    /// Number of bytes so far without those from which the library would read a
    /// block of headers before it is complete: all but the last byte of its first
    /// frame, and what follows.
    pub fn complete(&self) -> u64 {
        let partial = self.partial.as_ref();
        partial.map_or(self.received, |it| it.begins)
    }

    /// Follows the next bytes, up to the end of the block of headers with which
    /// [`Self::headers`] exceeds `max_headers`. Returns the number of bytes followed.
    pub fn feed(&mut self, bytes: &[u8], max_headers: u64) -> usize {
        let before = self.received;
        let left = self.follow(bytes, max_headers);
        self.received = before + (bytes.len() - left) as u64;
        bytes.len() - left
    }

    /// Returns the number of bytes that are left.
    fn follow(&mut self, mut bytes: &[u8], max_headers: u64) -> usize {
        while !bytes.is_empty() {
            if self.headers > max_headers && !self.in_headers && self.is_between_frames() {
                return bytes.len();
            }
            match &mut self.position {
                Position::Preface(seen) => {
                    let expected = &PREFACE[*seen..];
                    let length = expected.len().min(bytes.len());
                    if bytes[..length] != expected[..length] {
                        self.position = Position::Http1;
                        return 0;
                    }
                    *seen += length;
                    bytes = &bytes[length..];
                    self.received += length as u64;
                    if *seen == PREFACE.len() {
                        self.position = Position::Header([0; HEADER], 0);
                    }
                }
                Position::Header(header, filled) => {
                    let length = (HEADER - *filled).min(bytes.len());
                    header[*filled..*filled + length].copy_from_slice(&bytes[..length]);
                    *filled += length;
                    bytes = &bytes[length..];
                    self.received += length as u64;
                    if *filled == HEADER {
                        let header = *header;
                        self.begin(header);
                    }
                }
                Position::Payload {
                    kind,
                    flags,
                    stream,
                    left,
                } => {
                    let length = (*left).min(bytes.len());
                    *left -= length;
                    bytes = &bytes[length..];
                    self.received += length as u64;
                    if matches!(*kind, HEADERS | CONTINUATION) {
                        self.headers += length as u64;
                    }
                    if *left == 0 {
                        let (kind, flags, stream) = (*kind, *flags, *stream);
                        self.end(kind, flags, stream);
                    }
                }
                // The rest is not followed.
                Position::Http1 => return 0,
            }
        }
        0
    }

    fn is_between_frames(&self) -> bool {
        matches!(self.position, Position::Header(_, 0))
    }

    fn begin(&mut self, header: [u8; HEADER]) {
        let [high, middle, low, kind, flags, stream @ ..] = header;
        let left = u32::from_be_bytes([0, high, middle, low]) as usize;
        // Anything else is an error, which the library must see.
        let partial = self.partial.as_ref();
        if partial.is_some_and(|it| kind != CONTINUATION || it.stream != stream) {
            self.partial = None;
        }
        if left == 0 {
            return self.end(kind, flags, stream);
        }
        self.position = Position::Payload {
            kind,
            flags,
            stream,
            left,
        };
    }

    fn end(&mut self, kind: u8, flags: u8, stream: [u8; 4]) {
        let ends_headers = flags & END_HEADERS != 0;
        match kind {
            HEADERS if !ends_headers => {
                self.in_headers = true;
                self.partial = Some(PartialHeaders {
                    stream,
                    begins: self.received - 1,
                });
            }
            CONTINUATION if !ends_headers => self.in_headers = true,
            HEADERS | CONTINUATION => {
                self.in_headers = false;
                self.partial = None;
                self.headers += BLOCK;
            }
            SETTINGS => self.has_begun = true,
            _ => {}
        }
        if self.has_begun && !self.in_headers {
            self.parts += 1;
        }
        self.position = Position::Header([0; HEADER], 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    /// Whether the peer owes something after each byte.
    fn owes(bytes: &[u8]) -> Vec<bool> {
        let mut frames = RequestFrames::default();
        let after = |byte: &u8| {
            frames.feed(&[*byte], u64::MAX);
            frames.unfinished().is_some()
        };
        bytes.iter().map(after).collect()
    }

    fn begun() -> Vec<u8> {
        [PREFACE, &frame(SETTINGS, 0, &[0; 6])].concat()
    }

    #[test]
    fn the_preface_and_the_settings_are_owed_until_their_last_byte() {
        let owed = owes(&begun());
        assert_eq!(owed.iter().position(|it| !it), Some(owed.len() - 1));
        assert!(RequestFrames::default().unfinished().is_some());
    }

    #[test]
    fn headers_are_owed_from_their_first_byte_to_the_end_of_the_block() {
        let block = [
            frame(HEADERS, 0, b"abc"),
            frame(CONTINUATION, 0, b""),
            frame(CONTINUATION, END_HEADERS, b"d"),
        ]
        .concat();
        let owed = owes(&[begun(), block.clone()].concat());
        let owed = &owed[owed.len() - block.len()..];
        assert_eq!(owed.iter().position(|it| !it), Some(owed.len() - 1));
    }

    #[test]
    fn the_payload_of_data_is_not_owed() {
        let data = frame(DATA, 0, b"0123456789");
        let owed = owes(&[begun(), data].concat());
        let owed = &owed[owed.len() - 19..];
        assert!(owed[..8].iter().all(|it| *it) && !owed[8..].iter().any(|it| *it));
    }

    #[test]
    fn http_1_is_left_alone_from_its_first_difference() {
        assert_eq!(owes(b"POST"), [true, false, false, false]);
    }

    #[test]
    fn each_part_has_a_number_of_its_own() {
        let mut frames = RequestFrames::default();
        frames.feed(&begun(), u64::MAX);
        let ping = frame(6, 0, &[0; 8]);
        frames.feed(&ping[..4], u64::MAX);
        let first = frames.unfinished();
        frames.feed(&[&ping[4..], &ping[..4]].concat(), u64::MAX);
        assert!(first.is_some() && frames.unfinished() > first);
    }

    #[test]
    fn it_stops_after_the_block_that_is_too_much() {
        let block = [
            frame(HEADERS, 0, &[7; 10]),
            frame(CONTINUATION, END_HEADERS, &[7; 10]),
        ]
        .concat();
        let bytes = [begun(), block.clone(), block.clone(), block.clone()].concat();
        let mut frames = RequestFrames::default();
        let two = begun().len() + 2 * block.len();
        let counted = 20 + BLOCK;
        assert_eq!(frames.feed(&bytes, counted), two);
        assert_eq!(frames.received(), two as u64);
        assert_eq!(frames.feed(&bytes[two..], counted), 0);
        assert_eq!(frames.feed(&bytes[two..], 2 * counted), block.len());
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            bytes in proptest::collection::vec(0_u8..8, 0..200),
            at in 0_usize..200,
        ) {
            let bytes = [begun(), bytes].concat();
            let (left, right) = bytes.split_at(at.min(bytes.len()));
            let (mut whole, mut pieces) = (RequestFrames::default(), RequestFrames::default());
            whole.feed(&bytes, u64::MAX);
            pieces.feed(left, u64::MAX);
            pieces.feed(right, u64::MAX);
            prop_assert_eq!(whole.unfinished(), pieces.unfinished());
            prop_assert_eq!(whole.complete(), pieces.complete());
            prop_assert_eq!(whole.headers(), pieces.headers());
        }
    }
}

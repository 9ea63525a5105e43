//! The events of the API.

use claude_grpc::claude::sse::SseDecoder;

/// However the bytes are cut, the events are those that a plain reading of the
/// standard gives, and no more is held than came.
///
/// The first byte seeds the cuts.
pub fn check(data: &[u8]) {
    let Some((seed, stream)) = data.split_first() else {
        return;
    };
    let expected = plain(stream);
    assert_eq!(decoded([stream]), expected, "whole");
    assert_eq!(decoded(stream.chunks(1)), expected, "byte by byte");
    assert_eq!(decoded(cut(stream, *seed)), expected, "cut by {seed}");
    let held: usize = expected
        .iter()
        .map(|(name, data)| name.len() + data.len())
        .sum();
    assert!(held <= stream.len());
}

type Event = (Vec<u8>, Vec<u8>);

fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut decoder = SseDecoder::default();
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        while let Some(event) = decoder.next_event().expect("it is short") {
            events.push((event.name.to_vec(), event.data.to_vec()));
        }
    }
    events
}

/// Pieces of 0 to 15 bytes.
fn cut(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed) + 1;
    let mut rest = stream;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // A step of Numerical Recipes' generator.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (state >> 28) as usize;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The standard (HTML, § 9.2.6) to the letter, on all bytes at once.
fn plain(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let (mut name, mut data) = (Vec::new(), Vec::<u8>::new());
    let mut has_data = false;
    let mut events = Vec::new();
    for line in lines(stream) {
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            let mut data = std::mem::take(&mut data);
            if std::mem::take(&mut has_data) {
                data.pop();
                events.push((name, data));
            }
            continue;
        }
        let colon = line.iter().position(|&b| b == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value.to_vec(),
            b"data" => {
                has_data = true;
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            _ => {}
        }
    }
    events
}

/// The lines that have an end: CR LF, LF or CR.
fn lines(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = stream.iter().position(|&b| b == b'\n' || b == b'\r') {
        lines.push(&stream[..end]);
        let both = stream[end..].starts_with(b"\r\n");
        stream = &stream[end + 1 + usize::from(both)..];
    }
    lines
}

//! The header `x-signature`, which anybody may send.

use claude_grpc::access::signature::SignatureHeader;

/// A header that is read and written again is the same header, in the one
/// spelling that signers write.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(header) = SignatureHeader::parse(text) else {
        return;
    };
    let written = header.to_string();
    assert_eq!(SignatureHeader::parse(&written).as_ref(), Some(&header));
    // Parts may come in any order, with blanks between them. Nothing else may
    // differ, or two texts would be one signature.
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text.split(',').map(|it| it.trim().to_owned()).collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(text), sorted(&written));
    assert!(written.is_ascii() && !written.contains(|c: char| c.is_whitespace()));
}

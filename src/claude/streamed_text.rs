//! Text in the events of a stream: most of them are text, and may split a character.

use super::{
    answer::AnswerBlock,
    json_string::{REPLACEMENT, SplitString},
    lenient::Object,
};
use serde_json::value::RawValue;

/// The text with which a block starts, if it ends in half of a character: the
/// other half may come in a delta.
pub(super) fn take_split_text(block: &mut AnswerBlock, raw: &RawValue) -> Option<SplitString> {
    let (field, text) = match block {
        AnswerBlock::Text { text, .. } => ("text", text),
        AnswerBlock::Thinking { thinking, .. } => ("thinking", thinking),
        _ => return None,
    };
    if !text.ends_with(REPLACEMENT) {
        return None;
    }
    let json = Object::read(raw.get()).ok()?.get(field)?;
    let split = SplitString::decode(json.get()).filter(|it| it.first_half.is_some())?;
    text.clear();
    Some(split)
}

/// The block number and the text of a text delta without escapes, written as
/// the API writes it: nearly every event of a long response. `None` for
/// anything else, which is then read field by field.
pub(super) fn plain_text_delta(data: &str) -> Option<(u64, &str)> {
    let data = data.strip_prefix(r#"{"type":"content_block_delta","index":"#)?;
    let (index, delta) = data.split_once(',')?;
    let text = delta.strip_prefix(r#""delta":{"type":"text_delta","text":""#)?;
    let (text, end) = text.split_once('"')?;
    let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != b'\\');
    let is_index = index.bytes().all(|byte| byte.is_ascii_digit());
    let ends = end.strip_prefix('}')?.trim_ascii_start() == "}";
    let index = index.parse().ok()?;
    (is_plain && is_index && ends).then_some((index, text))
}

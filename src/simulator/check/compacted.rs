//! What a compacted conversation leaves out.

use crate::claude::{
    lenient::Object,
    request::{Content, InputBlock, MessagesRequest},
};

/// Forgets what comes before the last compaction block, which stands for it.
pub(super) fn forget(request: &mut MessagesRequest) {
    let mut messages = request.messages.iter().enumerate().rev();
    let last = messages.find_map(|(index, message)| Some((index, position(&message.content)?)));
    let Some((message, block)) = last else {
        return;
    };
    request.messages.drain(..message);
    if let Content::Blocks(blocks) = &mut request.messages[0].content {
        blocks.drain(..block);
    }
}

fn position(content: &Content) -> Option<usize> {
    match content {
        Content::Text(_) => None,
        Content::Blocks(blocks) => blocks.iter().rposition(is_compaction),
    }
}

/// Whether it is such a block. One without content is of a compaction that failed.
fn is_compaction(block: &InputBlock) -> bool {
    let InputBlock::Other(block) = block else {
        return false;
    };
    let Ok(block) = Object::read(block.get()) else {
        return false;
    };
    block.kind() == "compaction" && block.text("content").is_some()
}

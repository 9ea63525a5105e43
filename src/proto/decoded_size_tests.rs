use super::*;
use crate::proto::v1::{
    BatchItem, ContentBlock, GenerateRequest, Item, Label, Message, Role, TextBlock, Tool,
    content_block::Block, item::Request as ItemRequest, process_items_request::Content,
};
use proptest::prelude::*;
use prost::Message as _;

const GENERATE: &str = "/claude.v1.ClaudeService/Generate";
const CLASSIFY: &str = "/claude.v1.ClaudeService/Classify";
const SUBMIT_BATCH: &str = "/claude.v1.BatchService/SubmitBatch";
const PROCESS_ITEMS: &str = "/claude.v1.ClaudeService/ProcessItems";

fn measured(path: &str, message: &[u8], piece: usize) -> usize {
    DecodedSize::of_request(path).measure(message.chunks(piece), usize::MAX)
}

/// What a list of this number of elements of this size takes at least.
fn room(count: usize, size: usize) -> usize {
    count.next_power_of_two().max(4) * size
}

#[test]
fn no_empty_element_takes_more_than_is_counted() {
    for (path, field, size) in [
        (GENERATE, 2, size_of::<Message>()),
        (GENERATE, 3, size_of::<TextBlock>()),
        (GENERATE, 5, size_of::<String>()),
        (GENERATE, 6, size_of::<Tool>()),
        (CLASSIFY, 2, size_of::<Label>()),
        (SUBMIT_BATCH, 2, size_of::<BatchItem>()),
    ] {
        for count in [1, 2, 4, 5, 1_000, 1_025] {
            let message = [field << 3 | 2, 0].repeat(count);
            let (counted, needed) = (measured(path, &message, 4_096), room(count, size));
            assert!(counted >= needed, "{path} {field}: {counted} < {needed}");
            assert!(counted <= 4 * needed, "{path} {field}: {counted}");
        }
    }
}

fn conversation(messages: usize, text: &str) -> GenerateRequest {
    let block = |text: &str| ContentBlock {
        block: Some(Block::Text(TextBlock {
            text: text.to_owned(),
            ..TextBlock::default()
        })),
        ..ContentBlock::default()
    };
    let message = |_| Message {
        role: Role::User.into(),
        content: vec![block(text)],
        ..Message::default()
    };
    GenerateRequest {
        messages: (0..messages).map(message).collect(),
        ..GenerateRequest::default()
    }
}

#[test]
fn what_is_nested_is_counted_in_chunks_of_any_size() {
    let item = Content::Item(Item {
        request: Some(ItemRequest::Generate(conversation(100, "hello"))),
        ..Item::default()
    });
    let item = crate::proto::v1::ProcessItemsRequest {
        content: Some(item),
    };
    let message = item.encode_to_vec();
    let counted = measured(PROCESS_ITEMS, &message, message.len());
    let blocks = 100 * room(1, size_of::<ContentBlock>());
    assert!(counted >= room(100, size_of::<Message>()) + blocks);
    for piece in [1, 2, 3, 7, 1_000] {
        assert_eq!(measured(PROCESS_ITEMS, &message, piece), counted);
    }
}

#[test]
fn texts_take_no_more_than_their_bytes() {
    // It looks like many elements.
    let text = "\u{12}\0".repeat(500_000);
    let message = conversation(1, &text).encode_to_vec();
    assert!(measured(GENERATE, &message, 4_096) < 4_096);
    assert_eq!(measured("/grpc.health.v1.Health/Check", &message, 4_096), 0);
}

/// They are not held, but a message has a maximum of them.
#[test]
fn values_of_json_that_is_decoded_are_limited() {
    let json = format!("{{\"x\":[0{}]}}", ",0".repeat(999));
    let of_schema = GenerateRequest {
        output_schema_json: json.clone(),
        ..GenerateRequest::default()
    };
    let of_tool = GenerateRequest {
        tools: vec![Tool {
            input_schema_json: json,
            ..Tool::default()
        }],
        ..GenerateRequest::default()
    };
    for request in [of_schema, of_tool] {
        let message = request.encode_to_vec();
        let size = DecodedSize::of_request(GENERATE);
        let measured = |limit| size.measure(message.chunks(10), limit);
        assert!(measured(1_000 * JSON_VALUE) > 1_000 * JSON_VALUE);
        assert!(measured(1_010 * JSON_VALUE) < 4_096);
    }
}

#[test]
fn reading_ends_at_the_limit() {
    let mut read = 0;
    let message = [2 << 3 | 2, 0].repeat(1_000_000);
    let chunks = message.chunks(1_000).inspect(|_| read += 1);
    let taken = DecodedSize::of_request(SUBMIT_BATCH).measure(chunks, 1_000_000);
    assert!(taken > 1_000_000);
    assert!(read < 10, "{read}");
}

/// The length of a message may exceed that of the one that it is in: it is decoded as a
/// whole before that is noticed.
#[test]
fn what_is_behind_the_end_of_a_message_is_counted_too() {
    let mut message = vec![2 << 3 | 2, 3, 3 << 3 | 2, 0xd0, 0x0f];
    message.extend([7 << 3 | 2, 0].repeat(1_000));
    message.extend([2 << 3 | 2, 0].repeat(1_000));
    let counted = measured(GENERATE, &message, 100);
    assert!(counted >= room(1_000, size_of::<Message>()), "{counted}");
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..9) {
        for path in [GENERATE, CLASSIFY, SUBMIT_BATCH, PROCESS_ITEMS] {
            let whole = measured(path, &bytes, bytes.len().max(1));
            prop_assert_eq!(measured(path, &bytes, piece), whole);
        }
    }
}

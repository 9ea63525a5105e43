//! Any content block, and what all parts of a request are made of.

use claude_grpc::proto::v1::{
    self, browser_state_change::Change, content_block::Block,
    document_block::Source as DocumentSource, image_block::Source as ImageSource,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Mostly what a caller would send, so that whole requests are often right.
pub fn mostly<T: std::fmt::Debug + Clone + 'static>(
    right: impl Strategy<Value = T> + 'static,
    any: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![40 => right, 1 => any]
}

pub fn text() -> impl Strategy<Value = String> {
    mostly("\\PC{1,20}x", any::<String>())
}

pub fn maybe_text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), any::<String>()]
}

pub fn enumeration(values: std::ops::Range<i32>) -> impl Strategy<Value = i32> {
    mostly(values, any::<i32>())
}

pub fn json_object() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<f64>()
            .prop_filter("JSON has no such number", |it| it.is_finite())
            .prop_map(|it| it.to_string()),
        any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            object_of(inner),
        ]
    });
    mostly(object_of(value), any::<String>())
}

fn object_of(value: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    vec((any::<String>(), value), 0..4).prop_map(|fields| {
        let fields: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{}: {value}", serde_json::to_string(key).unwrap()))
            .collect();
        format!("{{{}}}", fields.join(","))
    })
}

pub fn schema() -> impl Strategy<Value = String> {
    let right = select(vec![
        r#"{"type":"object"}"#,
        r#"{"type":"object","properties":{"a":{"type":"number","const":1.0}}}"#,
    ]);
    mostly(right.prop_map(str::to_owned), json_object())
}

pub fn cache() -> impl Strategy<Value = Option<v1::CacheControl>> {
    let mark = enumeration(0..3).prop_map(|ttl| v1::CacheControl { ttl });
    option::weighted(0.1, mark)
}

pub fn text_block(cited: bool) -> impl Strategy<Value = v1::TextBlock> {
    let citations = vec(json_object(), 0..if cited { 3 } else { 1 });
    (text(), cache(), citations).prop_map(|(text, cache_control, citations_json)| v1::TextBlock {
        text,
        cache_control,
        citations_json,
    })
}

fn picture() -> impl Strategy<Value = Block> {
    let right = select(vec![
        &b"\xff\xd8\xff\xe0"[..],
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
    ]);
    let data = mostly(right.prop_map(<[u8]>::to_vec), any::<Vec<u8>>());
    let source = prop_oneof![
        data.prop_map(|data| ImageSource::Data(data.into())),
        url().prop_map(ImageSource::Url),
        text().prop_map(ImageSource::FileId),
    ];
    let transformations = option::weighted(0.2, enumeration(0..3));
    let fields = (option::weighted(0.98, source), cache(), transformations);
    fields.prop_map(|(source, cache_control, oversized)| {
        Block::Image(v1::ImageBlock {
            source,
            cache_control,
            transformations: oversized
                .map(|oversized_image| v1::ImageTransformations { oversized_image }),
        })
    })
}

fn url() -> impl Strategy<Value = String> {
    mostly(
        "https://[a-z]{1,9}\\.example/[a-z%?&=]{0,9}",
        any::<String>(),
    )
}

fn paper() -> impl Strategy<Value = Block> {
    let pdf = mostly(Just(b"%PDF-1.7".to_vec()), any::<Vec<u8>>());
    let source = prop_oneof![
        pdf.prop_map(|pdf| DocumentSource::Pdf(pdf.into())),
        text().prop_map(DocumentSource::Text),
        url().prop_map(DocumentSource::Url),
        text().prop_map(DocumentSource::FileId),
    ];
    let fields = (
        option::weighted(0.98, source),
        maybe_text(),
        maybe_text(),
        any::<bool>(),
        cache(),
    );
    fields.prop_map(|(source, title, context, citations, cache_control)| {
        Block::Document(v1::DocumentBlock {
            source,
            title,
            context,
            citations,
            cache_control,
        })
    })
}

fn found() -> impl Strategy<Value = Block> {
    let content = prop_oneof![
        vec(text(), 1..3).prop_map(|texts| (texts, Vec::new())),
        vec(text_block(false), 1..3).prop_map(|content| (Vec::new(), content)),
    ];
    let fields = (text(), text(), content, any::<bool>(), cache());
    fields.prop_map(
        |(source, title, (texts, content), citations, cache_control)| {
            Block::SearchResult(v1::SearchResultBlock {
                source,
                title,
                texts,
                citations,
                cache_control,
                content,
            })
        },
    )
}

fn upload() -> impl Strategy<Value = Block> {
    (text(), cache()).prop_map(|(file_id, cache_control)| {
        Block::ContainerUpload(v1::ContainerUploadBlock {
            file_id,
            cache_control,
        })
    })
}

fn reference() -> impl Strategy<Value = Block> {
    (text(), cache()).prop_map(|(tool_name, cache_control)| {
        Block::ToolReference(v1::ToolReferenceBlock {
            tool_name,
            cache_control,
        })
    })
}

fn browser() -> impl Strategy<Value = Block> {
    let tab = (text(), maybe_text(), maybe_text(), any::<bool>());
    let tab = tab.prop_map(|(tab_id, title, url, active)| v1::BrowserTab {
        tab_id,
        title,
        url,
        active,
    });
    let completed = (text(), text(), maybe_text(), option::of(any::<i64>()));
    let change = completed.prop_map(|(download_id, url, path, size_bytes)| {
        Change::DownloadCompleted(v1::BrowserDownloadCompleted {
            download_id,
            url,
            path,
            size_bytes,
        })
    });
    let change = option::weighted(0.98, change);
    let change = change.prop_map(|change| v1::BrowserStateChange { change });
    (vec(tab, 0..3), vec(change, 0..2), cache()).prop_map(|(tabs, state_changes, cache_control)| {
        Block::BrowserState(v1::BrowserStateBlock {
            tabs,
            state_changes,
            cache_control,
        })
    })
}

pub fn of_user() -> BoxedStrategy<Block> {
    let given = prop_oneof![
        text_block(false).prop_map(Block::Text),
        picture(),
        paper(),
        found()
    ]
    .boxed();
    let inner = prop_oneof![8 => given.clone(), 1 => reference(), 1 => browser()];
    let fields = (
        text(),
        vec(inner, 0..3),
        any::<bool>(),
        cache(),
        maybe_text(),
    );
    let result = fields.prop_map(
        |(tool_use_id, content, is_error, cache_control, toolset_name)| {
            Block::ToolResult(v1::ToolResultBlock {
                tool_use_id,
                content: crate::sample_requests::blocks(content),
                is_error,
                cache_control,
                toolset_name,
            })
        },
    );
    prop_oneof![6 => given, 2 => result, 1 => upload()].boxed()
}

pub fn of_assistant() -> BoxedStrategy<Block> {
    let caller = (mostly("[a-z0-9_]{1,9}", any::<String>()), maybe_text())
        .prop_map(|(r#type, tool_id)| v1::ToolCaller { r#type, tool_id });
    let origin = (option::weighted(0.3, caller), maybe_text());
    let tool_use = (text(), text(), json_object(), cache(), origin).prop_map(
        |(id, name, input_json, cache_control, (caller, toolset_name))| {
            Block::ToolUse(v1::ToolUseBlock {
                id,
                name,
                input_json,
                cache_control,
                caller,
                toolset_name,
            })
        },
    );
    let thinking = (maybe_text(), text()).prop_map(|(thinking, signature)| {
        Block::Thinking(v1::ThinkingBlock {
            thinking,
            signature,
        })
    });
    let kinds = select(vec!["new_thing", "text", "tool_use", "server_tool_use"]);
    let known = (kinds, json_object())
        .prop_map(|(kind, inner)| format!(r#"{{"type":"{kind}","inner":{inner}}}"#));
    let other = (maybe_text(), mostly(known, json_object()))
        .prop_map(|(r#type, json)| Block::Other(v1::OtherBlock { r#type, json }));
    prop_oneof![
        text_block(true).prop_map(Block::Text),
        upload(),
        tool_use,
        thinking,
        text().prop_map(|data| Block::RedactedThinking(v1::RedactedThinkingBlock { data })),
        other,
    ]
    .boxed()
}

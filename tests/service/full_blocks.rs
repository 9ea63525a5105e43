//! Blocks that together have every field and every value that the wire types allow, as
//! [`full_bodies`](crate::full_bodies) has of the rest.

use claude_grpc::claude::{
    content::{ImageTransformations, OversizedImage},
    given::{BrowserStateChange, BrowserTab, GivenBlock},
    raw::RawObject,
    request::{
        CacheControl, CacheTtl, Citations, Content, DocumentSource, ImageSource, InputBlock,
        InputMessage, Role,
    },
    tool_origin::ToolCaller,
};

/// Gives all values of an enumeration; the match makes them complete.
macro_rules! all {
    ($($variant:path),+ $(,)?) => {{
        let all = [$($variant),+];
        for value in all {
            match value { $($variant => {})+ }
        }
        all
    }};
}
pub(crate) use all;

pub fn marks() -> [CacheControl; 3] {
    let [five_minutes, one_hour] = all![CacheTtl::FiveMinutes, CacheTtl::OneHour];
    [None, Some(five_minutes), Some(one_hour)].map(|ttl| CacheControl::Ephemeral { ttl })
}

pub fn text(cache_control: Option<CacheControl>) -> InputBlock {
    InputBlock::Text {
        text: "x".to_owned(),
        cache_control,
        citations: None,
    }
}

fn pictures(mark: Option<CacheControl>) -> [InputBlock; 3] {
    let x = || "x".to_owned();
    let png = || "image/png".to_owned();
    let all = [
        ImageSource::Base64 {
            media_type: png(),
            data: x(),
        },
        ImageSource::Url { url: x() },
        ImageSource::File { file_id: x() },
    ];
    all.map(|source| {
        match source {
            ImageSource::Base64 { .. } | ImageSource::Url { .. } | ImageSource::File { .. } => {}
        }
        InputBlock::Image {
            source,
            cache_control: mark,
            transformations: None,
        }
    })
}

/// A message with an image that may be too large.
pub fn oversized(size: OversizedImage) -> InputMessage {
    let image = InputBlock::Image {
        source: ImageSource::Url {
            url: "x".to_owned(),
        },
        cache_control: None,
        transformations: Some(ImageTransformations {
            oversized_image: Some(size),
        }),
    };
    InputMessage {
        role: Role::User,
        content: Content::Blocks(vec![image]),
        extra: None,
    }
}

fn documents(mark: Option<CacheControl>) -> [InputBlock; 5] {
    let x = || "x".to_owned();
    let all = [
        DocumentSource::Base64 {
            media_type: "application/pdf".to_owned(),
            data: x(),
        },
        DocumentSource::Text {
            media_type: "text/plain".to_owned(),
            data: x(),
        },
        DocumentSource::Url { url: x() },
        DocumentSource::File { file_id: x() },
        DocumentSource::Content {
            content: Content::Blocks(vec![
                text(None),
                InputBlock::Image {
                    source: ImageSource::Base64 {
                        media_type: "image/png".to_owned(),
                        data: x(),
                    },
                    cache_control: None,
                    transformations: None,
                },
            ]),
        },
    ];
    all.map(|source| {
        match source {
            DocumentSource::Base64 { .. }
            | DocumentSource::Text { .. }
            | DocumentSource::Url { .. }
            | DocumentSource::File { .. }
            | DocumentSource::Content { .. } => {}
        }
        InputBlock::Document {
            source,
            title: Some(x()),
            context: Some(x()),
            citations: Some(Citations { enabled: true }),
            cache_control: mark,
        }
    })
}

fn found(cache_control: Option<CacheControl>) -> InputBlock {
    let [unspecified, ..] = marks();
    InputBlock::SearchResult {
        source: "x".to_owned(),
        title: "x".to_owned(),
        content: vec![text(Some(unspecified))],
        citations: Some(Citations { enabled: true }),
        cache_control,
    }
}

/// The blocks that nothing looks into, in a message and in the result of a tool.
fn given_blocks() -> [InputBlock; 2] {
    let [mark, ..] = marks().map(Some);
    let x = || "x".to_owned();
    let all = [
        GivenBlock::ContainerUpload {
            file_id: x(),
            cache_control: mark,
        },
        GivenBlock::ToolReference {
            tool_name: x(),
            cache_control: mark,
        },
        GivenBlock::BrowserState {
            tabs: vec![BrowserTab {
                tab_id: x(),
                title: x(),
                url: x(),
                active: true,
            }],
            state_changes: state_changes().to_vec(),
            cache_control: mark,
        },
    ];
    let [upload, results @ ..] = all.map(|block| {
        match block {
            GivenBlock::ContainerUpload { .. }
            | GivenBlock::ToolReference { .. }
            | GivenBlock::BrowserState { .. } => {}
        }
        InputBlock::Other(block.to_json())
    });
    let result = InputBlock::ToolResult {
        tool_use_id: x(),
        content: Some(Content::Blocks(results.to_vec())),
        is_error: false,
        cache_control: None,
        toolset_name: None,
    };
    [upload, result]
}

fn tool_use(caller: &str, tool_id: Option<&str>) -> InputBlock {
    let [_, five_minutes, _] = marks();
    InputBlock::ToolUse {
        id: "x".to_owned(),
        name: "x".to_owned(),
        input: RawObject::default(),
        cache_control: Some(five_minutes),
        caller: Some(ToolCaller {
            kind: caller.to_owned(),
            tool_id: tool_id.map(str::to_owned),
        }),
        toolset_name: Some("x".to_owned()),
    }
}

fn state_changes() -> [BrowserStateChange; 4] {
    let x = || "x".to_owned();
    let all = [
        BrowserStateChange::TabOpened { tab_id: x() },
        BrowserStateChange::DownloadStarted {
            download_id: x(),
            url: x(),
        },
        BrowserStateChange::DownloadCompleted {
            download_id: x(),
            url: x(),
            path: Some(x()),
            size_bytes: Some(1),
        },
        BrowserStateChange::DownloadFailed {
            download_id: x(),
            url: x(),
            error: Some(x()),
        },
    ];
    all.map(|change| {
        match change {
            BrowserStateChange::TabOpened { .. }
            | BrowserStateChange::DownloadStarted { .. }
            | BrowserStateChange::DownloadCompleted { .. }
            | BrowserStateChange::DownloadFailed { .. } => {}
        }
        change
    })
}

/// Every block that our own messages have, where it may stand.
pub fn blocks() -> impl Iterator<Item = (Role, InputBlock)> {
    let [_, five_minutes, one_hour] = marks();
    let citation = r#"{"type":"char_location"}"#.to_owned();
    let bare = |block: InputBlock| match block {
        InputBlock::Document { source, .. } => InputBlock::Document {
            source,
            title: None,
            context: None,
            citations: None,
            cache_control: None,
        },
        InputBlock::SearchResult { source, title, .. } => InputBlock::SearchResult {
            source,
            title,
            content: vec![text(None)],
            citations: None,
            cache_control: None,
        },
        other => other,
    };
    let [picture, ..] = pictures(None);
    let [_, document, ..] = documents(None);
    let results = [text(None), picture, bare(document), bare(found(None))];
    let of_user = pictures(Some(five_minutes))
        .into_iter()
        .chain(documents(Some(one_hour)))
        .chain([
            found(Some(five_minutes)),
            text(None),
            InputBlock::ToolResult {
                tool_use_id: "x".to_owned(),
                content: Some(Content::Blocks(results.to_vec())),
                is_error: true,
                cache_control: Some(five_minutes),
                toolset_name: Some("x".to_owned()),
            },
        ])
        .chain(given_blocks());
    let of_assistant = [
        InputBlock::Text {
            text: "x".to_owned(),
            cache_control: None,
            citations: Some(vec![RawObject::new(citation).unwrap()]),
        },
        tool_use("code_execution_20260120", Some("x")),
        tool_use("direct", None),
        InputBlock::Thinking {
            thinking: "x".to_owned(),
            signature: "x".to_owned(),
        },
        InputBlock::RedactedThinking {
            data: "x".to_owned(),
        },
    ];
    let of_user = of_user.map(|block| (Role::User, block));
    let of_assistant = of_assistant
        .into_iter()
        .map(|block| (Role::Assistant, block));
    of_user
        .chain(of_assistant)
        .inspect(|(_, block)| match block {
        InputBlock::Text { .. }
        | InputBlock::Image { .. }
        | InputBlock::Document { .. }
        | InputBlock::SearchResult { .. }
        | InputBlock::ToolUse { .. }
        | InputBlock::ToolResult { .. }
        | InputBlock::Thinking { .. }
        | InputBlock::RedactedThinking { .. }
        // Not of our making: the corpus has two of the API's own.
        | InputBlock::Other(_) => {}
    })
}

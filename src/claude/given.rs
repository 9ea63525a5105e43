//! Blocks of a request that nothing looks into on their way.

use super::{cache_control::CacheControl, raw::RawObject};
use serde::Serialize;

/// A block that the caller gives for a tool of the API or for the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GivenBlock {
    /// A tool that the caller's own search found.
    ToolReference {
        /// Name of the tool.
        tool_name: String,
        /// End of a cached prefix.
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// The caller's browser after a call.
    BrowserState {
        /// All open tabs.
        tabs: Vec<BrowserTab>,
        /// What the call changed.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        state_changes: Vec<BrowserStateChange>,
        /// End of a cached prefix.
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// A file for the container.
    ContainerUpload {
        /// Id of the file.
        file_id: String,
        /// End of a cached prefix.
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
}

impl GivenBlock {
    /// The block as JSON.
    pub fn to_json(&self) -> RawObject {
        let json = serde_json::to_string(self).expect("a block always serializes");
        RawObject::new(json).expect("a block is an object")
    }
}

/// An open tab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrowserTab {
    /// The caller's id of the tab.
    pub tab_id: String,
    /// Title of its page.
    pub title: String,
    /// URL of its page.
    pub url: String,
    /// Whether it is the active one.
    #[serde(skip_serializing_if = "is_false")]
    pub active: bool,
}

/// What a call changed in the browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BrowserStateChange {
    /// A tab was opened.
    TabOpened {
        /// One of the open tabs.
        tab_id: String,
    },
    /// A download started.
    DownloadStarted {
        /// The caller's id of the download.
        download_id: String,
        /// URL of the file.
        url: String,
    },
    /// A download is complete.
    DownloadCompleted {
        /// The caller's id of the download.
        download_id: String,
        /// URL of the file.
        url: String,
        /// Where the file is.
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Size of the file in bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        size_bytes: Option<u64>,
    },
    /// A download failed.
    DownloadFailed {
        /// The caller's id of the download.
        download_id: String,
        /// URL of the file.
        url: String,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

fn is_false(value: &bool) -> bool {
    !value
}

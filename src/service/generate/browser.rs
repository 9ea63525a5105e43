//! Maps the state of the caller's browser.

use super::content::{ContentMapper, non_empty};
use crate::{
    claude::{
        given::{BrowserStateChange, BrowserTab, GivenBlock},
        request::InputBlock,
    },
    proto::v1::{self, browser_state_change::Change, content_block::Block},
    status::Path,
};
use std::collections::HashSet;

impl ContentMapper<'_> {
    /// The result of a tool has at most one state of the browser, and none if it failed.
    pub fn check_browser_states(&mut self, result: &v1::ToolResultBlock, path: Path<'_>) {
        let is_state =
            |block: &v1::ContentBlock| matches!(block.block, Some(Block::BrowserState(_)));
        let states = result.content.iter().enumerate();
        let mut states = states.filter(|(_, block)| is_state(block));
        let first = states.next().filter(|_| result.is_error);
        let problems = first.map(|(index, _)| (index, "is not allowed if the tool failed"));
        let second = states.next();
        let problems = problems.into_iter().chain(
            second.map(|(index, _)| (index, "must be the only browser_state of the result")),
        );
        for (index, problem) in problems {
            self.wrong.add(path.field("content").item(index), problem);
        }
    }

    /// Maps the state of the browser.
    pub fn browser_state(&mut self, state: v1::BrowserStateBlock, path: Path<'_>) -> InputBlock {
        self.check_tabs(&state.tabs, path.field("tabs"));
        let tabs: HashSet<&str> = state.tabs.iter().map(|tab| &*tab.tab_id).collect();
        let mut downloads = HashSet::new();
        let mut state_changes = Vec::with_capacity(state.state_changes.len());
        for (index, change) in state.state_changes.into_iter().enumerate() {
            let path = path.field("state_changes").item(index);
            let Some(change) = change.change else {
                self.wrong.add(path, "must have a change");
                continue;
            };
            let change = self.change(change, &tabs, path);
            if let Some(id) = download_id(&change)
                && !downloads.insert(id.to_owned())
            {
                self.wrong
                    .add(path, "must be the only change of its download_id");
            }
            state_changes.push(change);
        }
        let tabs = state.tabs.into_iter().map(|tab| BrowserTab {
            tab_id: tab.tab_id,
            title: tab.title,
            url: tab.url,
            active: tab.active,
        });
        let block = GivenBlock::BrowserState {
            tabs: tabs.collect(),
            state_changes,
            cache_control: self.cache_control(state.cache_control, path.field("cache_control")),
        };
        InputBlock::Other(block.to_json())
    }

    fn check_tabs(&mut self, tabs: &[v1::BrowserTab], path: Path<'_>) {
        let mut ids = HashSet::with_capacity(tabs.len());
        for (index, tab) in tabs.iter().enumerate() {
            let path = path.item(index);
            let path = path.field("tab_id");
            self.required(&tab.tab_id, path);
            if !ids.insert(&tab.tab_id) {
                self.wrong.add(path, "must be unique");
            }
        }
        if !tabs.is_empty() && tabs.iter().filter(|tab| tab.active).count() != 1 {
            self.wrong.add(path, "must have exactly one active tab");
        }
    }

    fn change(
        &mut self,
        change: Change,
        tabs: &HashSet<&str>,
        path: Path<'_>,
    ) -> BrowserStateChange {
        match change {
            Change::TabOpened(it) => {
                if !tabs.contains(&*it.tab_id) {
                    let path = path.field("tab_opened");
                    self.wrong
                        .add(path.field("tab_id"), "must be that of one of the tabs");
                }
                BrowserStateChange::TabOpened { tab_id: it.tab_id }
            }
            Change::DownloadStarted(it) => {
                self.download(&it.download_id, &it.url, path.field("download_started"));
                BrowserStateChange::DownloadStarted {
                    download_id: it.download_id,
                    url: it.url,
                }
            }
            Change::DownloadCompleted(it) => {
                let path = path.field("download_completed");
                self.download(&it.download_id, &it.url, path);
                let size_bytes = it.size_bytes.map(u64::try_from);
                if let Some(Err(_)) = size_bytes {
                    self.wrong
                        .add(path.field("size_bytes"), "must be at least 0");
                }
                BrowserStateChange::DownloadCompleted {
                    download_id: it.download_id,
                    url: it.url,
                    path: non_empty(it.path),
                    size_bytes: size_bytes.and_then(Result::ok),
                }
            }
            Change::DownloadFailed(it) => {
                self.download(&it.download_id, &it.url, path.field("download_failed"));
                BrowserStateChange::DownloadFailed {
                    download_id: it.download_id,
                    url: it.url,
                    error: non_empty(it.error),
                }
            }
        }
    }

    fn download(&mut self, id: &str, url: &str, path: Path<'_>) {
        self.required(id, path.field("download_id"));
        self.required(url, path.field("url"));
    }
}

fn download_id(change: &BrowserStateChange) -> Option<&str> {
    match change {
        BrowserStateChange::TabOpened { .. } => None,
        BrowserStateChange::DownloadStarted { download_id, .. }
        | BrowserStateChange::DownloadCompleted { download_id, .. }
        | BrowserStateChange::DownloadFailed { download_id, .. } => Some(download_id),
    }
}

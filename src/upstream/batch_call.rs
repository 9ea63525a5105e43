//! What can be asked of the Message Batches API, and how it is addressed.

use bytes::Bytes;
use http::Method;
use reqwest::Url;

/// A call of the Message Batches API.
#[derive(Debug, Clone)]
pub enum BatchCall {
    /// Creates a batch.
    Create {
        /// The JSON body.
        body: Bytes,
    },
    /// Lists batches, newest first.
    List {
        /// Start after the batch with this id.
        after_id: Option<String>,
    },
    /// Reads a batch.
    Get(String),
    /// Cancels a batch.
    Cancel(String),
    /// Deletes a batch.
    Delete(String),
    /// Reads the results of a batch.
    Results(String),
}

/// How many batches are in a page.
const PAGE: &str = "100";

// === impl BatchCall ===

impl BatchCall {
    /// The request line, for the address of all batches.
    pub(super) fn line(&self, batches: &Url) -> (Method, Url) {
        let mut url = batches.clone();
        let mut at = |segments: &[&str]| {
            // Ids are escaped.
            if let Ok(mut path) = url.path_segments_mut() {
                path.extend(segments);
            }
        };
        let method = match self {
            BatchCall::Create { .. } => Method::POST,
            BatchCall::List { after_id } => {
                let mut query = url.query_pairs_mut();
                query.append_pair("limit", PAGE);
                if let Some(after_id) = after_id {
                    query.append_pair("after_id", after_id);
                }
                drop(query);
                Method::GET
            }
            BatchCall::Get(id) => {
                at(&[id]);
                Method::GET
            }
            BatchCall::Cancel(id) => {
                at(&[id, "cancel"]);
                Method::POST
            }
            BatchCall::Delete(id) => {
                at(&[id]);
                Method::DELETE
            }
            BatchCall::Results(id) => {
                at(&[id, "results"]);
                Method::GET
            }
        };
        (method, url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_within_its_segment_of_the_path() {
        let batches = Url::parse("https://api/v1/messages/batches").unwrap();
        let path = |of: BatchCall| {
            let (method, url) = of.line(&batches);
            format!(
                "{method} {}",
                &url.as_str()["https://api/v1/messages".len()..]
            )
        };
        let id = || "../a?b".to_owned();
        assert_eq!(
            path(BatchCall::Create { body: Bytes::new() }),
            "POST /batches"
        );
        assert_eq!(path(BatchCall::Get(id())), "GET /batches/..%2Fa%3Fb");
        assert_eq!(
            path(BatchCall::Cancel("b".to_owned())),
            "POST /batches/b/cancel"
        );
        assert_eq!(path(BatchCall::Delete("b".to_owned())), "DELETE /batches/b");
        assert_eq!(
            path(BatchCall::Results("b".to_owned())),
            "GET /batches/b/results"
        );
        let next = BatchCall::List {
            after_id: Some("a&b".to_owned()),
        };
        assert_eq!(path(next), "GET /batches?limit=100&after_id=a%26b");
    }
}

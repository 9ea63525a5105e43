//! Pages of a list whose cursors are the ids of its objects.

use super::error::ApiError;
use serde::Serialize;

/// Objects of a page without a limit.
pub(super) const DEFAULT_LIMIT: usize = 20;

/// Maximum number of objects of a page.
const MAX_LIMIT: usize = 1000;

/// Which objects of a list are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListQuery<'a> {
    limit: usize,
    after: Option<&'a str>,
    before: Option<&'a str>,
}

impl<'a> ListQuery<'a> {
    /// Reads a query. `other` takes the parameters that not every list has: it returns
    /// whether it knows the one of a name.
    ///
    /// # Errors
    /// 400 for an unknown parameter, or a value that is not valid.
    pub(super) fn read(
        query: &'a str,
        mut other: impl FnMut(&str, &'a str) -> Result<bool, ApiError>,
    ) -> Result<Self, ApiError> {
        let mut read = ListQuery {
            limit: DEFAULT_LIMIT,
            after: None,
            before: None,
        };
        for (name, value) in pairs(query) {
            match name {
                "limit" => read.limit = limit(value)?,
                "after_id" => read.after = Some(value),
                "before_id" => read.before = Some(value),
                // The SDKs mark beta calls in the query.
                "beta" => {}
                _ if other(name, value)? => {}
                _ => return Err(unknown(name)),
            }
        }
        Ok(read)
    }

    /// The page of a list: the first objects after a cursor, the last ones before one,
    /// or the first ones between two. A cursor can also be an object that is not listed.
    ///
    /// # Errors
    /// 400 for a cursor that is not an id of the list.
    pub(super) fn page<T>(
        &self,
        mut all: Vec<T>,
        id: impl Fn(&T) -> &str,
        is_listed: impl Fn(&T) -> bool,
    ) -> Result<ObjectPage<T>, ApiError> {
        let position = |cursor: &str| {
            let found = all.iter().position(|object| id(object) == cursor);
            found.ok_or_else(|| ApiError::invalid(format!("{cursor}: unknown id to page from")))
        };
        let end = match self.before {
            Some(before) => position(before)?,
            None => all.len(),
        };
        let first = match self.after {
            Some(after) => (position(after)? + 1).min(end),
            None => 0,
        };
        all.truncate(end);
        let mut data = all.split_off(first);
        data.retain(is_listed);
        let has_more = data.len() > self.limit;
        if self.after.is_none() && self.before.is_some() {
            data.drain(..data.len().saturating_sub(self.limit));
        } else {
            data.truncate(self.limit);
        }
        Ok(ObjectPage {
            first_id: data.first().map(|object| id(object).to_owned()),
            last_id: data.last().map(|object| id(object).to_owned()),
            has_more,
            data,
        })
    }
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub(super) struct ObjectPage<T> {
    data: Vec<T>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

/// The parameters of a query, as they stand there.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Reads the number of objects of a page.
///
/// # Errors
/// 400 unless it is a number in its range.
pub(super) fn limit(value: &str) -> Result<usize, ApiError> {
    let limit = value.parse().ok();
    let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| ApiError::invalid(format!("limit: must be a number from 1 to {MAX_LIMIT}")))
}

/// 400: the query has a parameter that the list does not know.
pub(super) fn unknown(name: &str) -> ApiError {
    ApiError::invalid(format!("{name}: Extra inputs are not permitted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Option<(String, bool)> {
        let query = ListQuery::read(query, |_, _| Ok(false)).ok()?;
        let all = ["a", "b", "c", "d", "e"].to_vec();
        let page = query.page(all, |id| id, |id| *id != "d").ok()?;
        assert_eq!(page.first_id.as_deref(), page.data.first().copied());
        assert_eq!(page.last_id.as_deref(), page.data.last().copied());
        Some((page.data.concat(), page.has_more))
    }

    #[test]
    fn a_page_lies_at_its_cursors() {
        for (query, data, has_more) in [
            ("", "abce", false),
            ("beta=true&limit=2", "ab", true),
            ("limit=2&after_id=b", "ce", false),
            ("after_id=d", "e", false),
            ("after_id=e", "", false),
            ("limit=1&before_id=c", "b", true),
            ("before_id=c", "ab", false),
            ("before_id=a", "", false),
            ("after_id=a&before_id=e&limit=1", "b", true),
            ("after_id=a&before_id=e", "bc", false),
            ("after_id=e&before_id=a", "", false),
        ] {
            assert_eq!(page(query), Some((data.to_owned(), has_more)), "{query}");
        }
        for wrong in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "after_id=z",
            "colour=red",
        ] {
            assert_eq!(page(wrong), None, "{wrong}");
        }
    }
}

//! Headers of a request to the API that say which betas it uses, and on whose behalf.

use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

/// Header with the names of betas, separated by commas.
pub const BETAS: &str = "anthropic-beta";

/// Header with the id of a workspace.
pub const WORKSPACE: &str = "anthropic-workspace-id";

/// Header with the id of a user profile.
pub const USER_PROFILE: &str = "anthropic-user-profile-id";

/// These headers, for one call or for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApiHeaders {
    /// Names of betas, in their order and without duplicates.
    pub betas: Vec<String>,
    /// Id of the workspace.
    pub workspace: Option<String>,
    /// Id of the user profile.
    pub user_profile: Option<String>,
}

/// Whether a text may be the name of a beta, or an id, in these headers: 1 to 128
/// printable ASCII characters without commas and spaces.
pub fn is_name(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    (1..=128).contains(&text.len()) && text.bytes().all(is_valid)
}

impl ApiHeaders {
    /// Adds a beta, unless it is there.
    pub fn add_beta(&mut self, name: &str) {
        if !self.betas.iter().any(|beta| beta == name) {
            self.betas.push(name.to_owned());
        }
    }

    /// These headers for a call that has its own: its betas are added, and its ids take
    /// precedence.
    pub fn with(&self, call: &ApiHeaders) -> ApiHeaders {
        let mut headers = ApiHeaders {
            betas: self.betas.clone(),
            workspace: call.workspace.clone().or_else(|| self.workspace.clone()),
            user_profile: call
                .user_profile
                .clone()
                .or_else(|| self.user_profile.clone()),
        };
        call.betas.iter().for_each(|beta| headers.add_beta(beta));
        headers
    }

    /// As they are sent. All are valid in a header: [`is_name`].
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        let betas = Some(self.betas.join(",")).filter(|betas| !betas.is_empty());
        for (name, value) in [
            (BETAS, &betas),
            (WORKSPACE, &self.workspace),
            (USER_PROFILE, &self.user_profile),
        ] {
            if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_str) {
                map.insert(name, value);
            }
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_a_call_are_added_and_its_ids_take_precedence() {
        let headers = |betas: &[&str], workspace: Option<&str>| {
            let mut headers = ApiHeaders {
                workspace: workspace.map(str::to_owned),
                user_profile: Some("p".to_owned()),
                ..ApiHeaders::default()
            };
            betas.iter().for_each(|beta| headers.add_beta(beta));
            headers
        };
        let all = headers(&["a", "b"], Some("w"));
        let sent = all.with(&headers(&["b", "c", "c"], Some("v"))).to_map();
        assert_eq!(sent[BETAS], "a,b,c");
        assert_eq!(sent[WORKSPACE], "v");
        assert_eq!(sent[USER_PROFILE], "p");
        assert_eq!(all.with(&ApiHeaders::default()), all);
        assert!(ApiHeaders::default().to_map().is_empty());
    }

    #[test]
    fn a_name_has_no_comma_and_no_space() {
        assert!(is_name("context-management-2025-06-27"));
        for text in ["", "a,b", "a b", "a\n", "ä", &"a".repeat(129)] {
            assert!(!is_name(text), "{text:?}");
        }
    }
}

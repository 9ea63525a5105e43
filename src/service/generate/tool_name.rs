//! What the name of a tool may be.

/// Maximum length of the name of a tool in the API.
const MAX_NAME: usize = 128;

/// What is wrong with a text that is not the name of a tool.
pub const NOT_A_TOOL_NAME: &str = "must be 1 to 128 characters of letters, digits, _ and -";

/// Whether a text can be the name of a tool.
pub fn is_tool_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

//! The table of reasons in docs/errors.md.

use crate::{hold_section, row};
use claude_grpc::reason::{Reason, Retry};

#[test]
fn the_table_of_reasons_is_the_catalogue() {
    let mut table = row([
        "reason",
        "gRPC status",
        "`RetryInfo`",
        "exit code",
        "meaning",
    ]);
    table.push_str("|---|---|---|---|---|\n");
    for reason in Reason::ALL {
        let code = match reason {
            Reason::Transport => "any".to_owned(),
            _ => format!("`{}`", screaming(&format!("{:?}", reason.code()))),
        };
        let retry = match reason.retry() {
            Retry::No => "–".to_owned(),
            Retry::After(delay) => humantime::format_duration(delay).to_string(),
        };
        table.push_str(&row([
            &format!("`{}`", reason.name()),
            &code,
            &retry,
            &(reason.exit() as u8).to_string(),
            reason.doc(),
        ]));
    }
    hold_section("docs/errors.md", "reasons", &table);
}

/// `NotFound` as the gRPC specification writes it.
fn screaming(name: &str) -> String {
    let mut written = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !written.is_empty() {
            written.push('_');
        }
        written.push(letter.to_ascii_uppercase());
    }
    written
}

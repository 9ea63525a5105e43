//! What a text holds that a field may want.

/// Runs of capitalized words that do not begin a sentence.
pub(super) fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut open = false;
    let mut begins = true;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_name = bare.starts_with(char::is_uppercase) && !begins;
        match names.last_mut() {
            Some(name) if is_name && open => {
                name.push(' ');
                name.push_str(bare);
            }
            _ if is_name => names.push(bare.to_owned()),
            _ => {}
        }
        begins = word.ends_with(['.', '!', '?', ':']);
        open = is_name && word.ends_with(char::is_alphanumeric);
    }
    names
}

/// Whether it is a date such as `2026-01-31`.
pub(super) fn is_date(word: &str) -> bool {
    // Longer forms carry a time or a time zone.
    word.len() == "2026-01-31".len() && word.parse::<jiff::civil::Date>().is_ok()
}

/// Whether it is a plain mail address.
pub(super) fn is_email(word: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part
                .split('.')
                .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    word.split_once('@')
        .is_some_and(|(local, domain)| is_plain(local) && is_plain(domain) && domain.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_of_the_calendar() {
        assert!(is_date("2028-02-29"));
        for other in ["2027-02-29", "20270131", "2027-1-31", "2027-01-31Z", "soon"] {
            assert!(!is_date(other), "{other}");
        }
    }
}

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

/// Whether it is a date as RFC 3339 writes it.
pub(super) fn is_date(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    let within = |part: &str, range: std::ops::RangeInclusive<u32>| {
        part.bytes().all(|b| b.is_ascii_digit()) && part.parse().is_ok_and(|it| range.contains(&it))
    };
    // Every month has 28 days.
    (year.len(), month.len(), day.len()) == (4, 2, 2)
        && within(year, 1..=9999)
        && within(month, 1..=12)
        && within(day, 1..=28)
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

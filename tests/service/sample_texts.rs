//! The real texts and the injections under `tests/data/`.

/// A customer's complaint.
pub const SUPPORT_MAIL: &str = include_str!("../data/support-mail.txt");

/// An outage, its causes and what follows from it.
pub const INCIDENT_REPORT: &str = include_str!("../data/incident-report.txt");

/// Charles Darwin, On the Origin of Species (1859), the beginning.
pub const ORIGIN_OF_SPECIES: &str = include_str!("../data/origin-of-species.txt");

/// A text that tries to be taken for an instruction.
pub struct Injection {
    pub text: String,
    /// Whether it has something that reads as the delimiter of the document.
    pub has_delimiter: bool,
}

pub fn injections() -> Vec<Injection> {
    include_str!("../data/injections.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (kind, text) = line.split_once(' ').unwrap();
            assert!(matches!(kind, "delimiter" | "plain"), "{line}");
            Injection {
                text: serde_json::from_str(text).unwrap(),
                has_delimiter: kind == "delimiter",
            }
        })
        .collect()
}

/// Checks that a document in a prompt is one piece of data from its beginning
/// to its end, and that nothing else was changed in it.
pub fn assert_is_data(delimited: &str, injection: &Injection) {
    let text = &injection.text;
    let inner = delimited
        .strip_prefix("<document>\n")
        .and_then(|rest| rest.strip_suffix("\n</document>"))
        .unwrap_or_else(|| panic!("{text:?} is not delimited: {delimited:?}"));
    if injection.has_delimiter {
        assert!(!inner.contains(text), "{text:?} stands in {inner:?}");
        assert!(!inner.contains("<document"), "{text:?} gave {inner:?}");
        assert!(!inner.contains("</document"), "{text:?} gave {inner:?}");
        let restored = inner.replace("&lt;", "<");
        let plain = text.replace(['\u{ff1c}', '\u{fe64}'], "<");
        let inner_plain = restored.replace(['\u{ff1c}', '\u{fe64}'], "<");
        assert_eq!(inner_plain, plain, "more than the bracket was changed");
    } else {
        assert_eq!(inner, text);
    }
}

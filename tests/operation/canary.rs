//! Words that stand nowhere by chance, and the search for them.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

/// A piece of so many bytes gives a canary away.
const PIECE: usize = 12;

/// So many bytes of what is searched for are looked up at once.
const HEAD: usize = 8;

/// A word of 32 letters and digits.
pub fn word() -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let bytes: [u8; 32] = rand::random();
    let mut word: String = bytes
        .iter()
        .map(|b| char::from(letters[usize::from(*b) % letters.len()]))
        .collect();
    // So that it is a word for every parser of numbers.
    word.replace_range(..2, "qz");
    word
}

/// What must not be seen, by the name that a failure shows.
#[derive(Default)]
pub struct Canaries(Mutex<BTreeMap<String, String>>);

impl Canaries {
    /// Makes a new one.
    pub fn make(&self, name: &str) -> String {
        self.keep(name, &word())
    }

    /// Takes one that was made elsewhere.
    pub fn keep(&self, name: &str, value: &str) -> String {
        assert!(value.len() >= 2 * PIECE, "{name} is too short to be known");
        let mut all = self.0.lock().unwrap();
        all.insert(name.to_owned(), value.to_owned());
        value.to_owned()
    }

    /// The names of those that stand somewhere, with the form they have there.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        self.search().found_in(bytes)
    }

    /// A search for all that there are now, for many places.
    pub fn search(&self) -> Search {
        let all = self.0.lock().unwrap();
        let mut needles: Needles = HashMap::new();
        for (name, value) in all.iter() {
            let (front, back) = value.as_bytes().split_at(value.len() / 2);
            for piece in [&front[..PIECE], &back[back.len() - PIECE..]] {
                for (form, needle) in forms(piece) {
                    let head = needle.as_bytes()[..HEAD].try_into().unwrap();
                    let needle = (format!("{name} ({form})"), needle.into_bytes());
                    needles.entry(head).or_default().push(needle);
                }
            }
        }
        let mut begins = vec![false; 1 << 16];
        for head in needles.keys() {
            begins[usize::from(head[0]) << 8 | usize::from(head[1])] = true;
        }
        Search { needles, begins }
    }
}

/// By their first bytes: names, and what stands for them.
type Needles = HashMap<[u8; HEAD], Vec<(String, Vec<u8>)>>;

/// What is searched for.
pub struct Search {
    needles: Needles,
    /// Logs are long: nearly every place is passed over by its first two bytes.
    begins: Vec<bool>,
}

impl Search {
    /// The names of those that stand somewhere, with the form they have there.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut at = 0;
        while at + HEAD <= bytes.len() {
            if self.begins[usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])] {
                let here = &bytes[at..];
                let candidates = self.needles.get(&here[..HEAD]).into_iter().flatten();
                let stands = candidates.filter(|(_, needle)| here.starts_with(needle));
                found.extend(stands.map(|(name, _)| name.clone()));
            }
            at += 1;
        }
        found
    }
}

/// A piece, and how it may look.
fn forms(piece: &[u8]) -> Vec<(&'static str, String)> {
    let each = |form: fn(&u8) -> String, between: &str| {
        let all: Vec<String> = piece.iter().map(form).collect();
        all.join(between)
    };
    let plain = String::from_utf8(piece.to_vec()).unwrap();
    let mut forms = vec![
        ("hex", each(|b| format!("{b:02x}"), "")),
        ("HEX", each(|b| format!("{b:02X}"), "")),
        ("percent", each(|b| format!("%{b:02X}"), "")),
        ("numbers", each(|b| b.to_string(), ", ")),
        ("numbers", each(|b| b.to_string(), ",")),
        ("plain", plain),
    ];
    // Base64 depends on where in its groups of three the piece stands; the
    // letters at its ends on what stands beside it.
    for before in 0..3 {
        let padded = [&vec![0; before][..], piece].concat();
        let whole = padded.len() / 3 * 4;
        let begin = [0, 2, 3][before];
        for encoded in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            forms.push(("Base64", encoded[begin..whole].to_owned()));
        }
    }
    forms
}

/// The search finds what it is to find: else the other tests show nothing.
#[test]
fn a_canary_is_found_in_every_form() {
    let canaries = Canaries::default();
    let word = canaries.make("word");
    let hex: String = word.bytes().map(|b| format!("{b:02x}")).collect();
    let percent: String = word.bytes().map(|b| format!("%{b:02X}")).collect();
    let mut texts = vec![
        word.clone(),
        word[..14].to_owned(),
        word[18..].to_owned(),
        hex.to_uppercase(),
        hex,
        percent,
        format!("{:?}", word.as_bytes()),
    ];
    for before in ["", "x", "xy"] {
        let text = format!("{before}{word} and more");
        texts.push(STANDARD_NO_PAD.encode(&text));
        texts.push(URL_SAFE_NO_PAD.encode(&text));
    }
    for text in texts {
        let text = format!("some text {text} around it");
        assert!(!canaries.found_in(text.as_bytes()).is_empty(), "{text}");
    }
    assert!(canaries.found_in(b"some text").is_empty());
}

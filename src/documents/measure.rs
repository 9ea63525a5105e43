//! How many tokens a text has, by its characters.

/// Tokens of a byte that is not ASCII, of which a character has two to four: a Chinese
/// character is one to two tokens.
const TOKENS_PER_OTHER_BYTE: f64 = 0.5;

/// Estimates the tokens of texts for one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextMeasure {
    tokens_per_ascii_byte: f64,
}

/// The bytes of a text, by what decides its tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByteCounts {
    ascii: usize,
    other: usize,
}

// === impl ByteCounts ===

impl ByteCounts {
    /// The bytes of a text.
    pub fn of(text: &str) -> Self {
        let ascii = text.bytes().filter(u8::is_ascii).count();
        ByteCounts {
            ascii,
            other: text.len() - ascii,
        }
    }

    /// Adds those of a text.
    pub fn add(&mut self, text: &str) {
        let more = ByteCounts::of(text);
        self.ascii += more.ascii;
        self.other += more.other;
    }

    /// Takes away those of a text that is in it.
    pub fn remove(&mut self, text: &str) {
        let less = ByteCounts::of(text);
        self.ascii -= less.ascii;
        self.other -= less.other;
    }
}

// === impl TextMeasure ===

impl TextMeasure {
    /// For a tokenizer that makes a token of this many characters of English, on average.
    pub fn new(characters_per_token: f64) -> Self {
        TextMeasure {
            tokens_per_ascii_byte: 1.0 / characters_per_token,
        }
    }

    /// The estimated tokens of a text.
    pub fn tokens(&self, text: &str) -> u64 {
        self.of(ByteCounts::of(text))
    }

    /// The estimated tokens of a text with these bytes.
    pub fn of(&self, counts: ByteCounts) -> u64 {
        let ascii = counts.ascii as f64 * self.tokens_per_ascii_byte;
        let other = counts.other as f64 * TOKENS_PER_OTHER_BYTE;
        (ascii + other).ceil() as u64
    }

    /// The length in bytes of the longest texts with this number of tokens.
    pub fn max_bytes(&self, tokens: u64) -> usize {
        let bytes = tokens as f64 / self.tokens_per_ascii_byte.min(TOKENS_PER_OTHER_BYTE);
        bytes as usize
    }

    /// The fewest tokens that a text of this length in bytes has.
    pub fn min_tokens(&self, bytes: usize) -> u64 {
        let tokens = bytes as f64 * self.tokens_per_ascii_byte.min(TOKENS_PER_OTHER_BYTE);
        tokens as u64
    }

    /// The length in bytes of the longest beginning of a text that has at most this number
    /// of tokens; `None` if the whole text has. It ends between two characters.
    pub fn fitting(&self, text: &str, max_tokens: u64) -> Option<usize> {
        let (max, mut tokens) = (max_tokens as f64, 0.0);
        for (position, character) in text.char_indices() {
            tokens += if character.is_ascii() {
                self.tokens_per_ascii_byte
            } else {
                character.len_utf8() as f64 * TOKENS_PER_OTHER_BYTE
            };
            if tokens > max {
                return Some(position);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_fits_as_it_is_measured() {
        let measure = TextMeasure::new(2.5);
        assert_eq!(measure.tokens(&"a".repeat(10)), 4);
        assert_eq!(measure.tokens("漢字"), 3);
        assert_eq!(measure.fitting("aaaaa漢字", 2), Some(5));
        assert_eq!(measure.fitting("aaaaa漢字", 4), Some(8));
        assert_eq!(measure.fitting("aaaaa漢字", 5), None);
        assert_eq!(measure.fitting("", 0), None);
        assert_eq!(measure.max_bytes(2), 5);
        assert_eq!(TextMeasure::new(1.0).max_bytes(2), 4);
        assert_eq!(measure.min_tokens(5), 2);
    }
}

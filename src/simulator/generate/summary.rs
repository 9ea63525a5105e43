//! Extractive summaries: the sentences of a document with the most of its
//! frequent words, in their order.

use super::{
    prompt::{MARK, Prompt},
    sentences::sentences,
    words::{WordCounts, stems},
};
use std::collections::HashSet;

/// Sentences when nothing is said about the length.
const SENTENCES: usize = 5;
const HEADLINE_WORDS: usize = 15;

/// What has fewer words is a title or a fragment, and taken only where there
/// is nothing else.
const FEWEST_WORDS: usize = 4;

const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// What the instructions ask of a summary.
#[derive(Debug, PartialEq)]
struct SummaryRequest {
    form: SummaryForm,
    length: SummaryLength,
    focus: String,
}

#[derive(Debug, PartialEq)]
enum SummaryForm {
    Text,
    Bullets,
    Headline,
}

#[derive(Debug, PartialEq)]
enum SummaryLength {
    Sentences(usize),
    Words(usize),
}

/// The summary, when one is asked for.
pub(super) fn write(prompt: &Prompt) -> Option<String> {
    let (document, instructions) = split(prompt)?;
    let wanted = read(&instructions);
    let sentences = sentences(&document);
    let chosen = choose(&sentences, &wanted);
    Some(match wanted.form {
        SummaryForm::Headline => {
            let best = chosen.first().copied().unwrap_or_default();
            format!("{MARK}{}", headline(best))
        }
        SummaryForm::Bullets if !chosen.is_empty() => format!("- {MARK}{}", chosen.join("\n- ")),
        _ => format!("{MARK}{}", chosen.join(" ")),
    })
}

/// The document and the instructions for its summary, when one is asked for.
fn split(prompt: &Prompt) -> Option<(String, String)> {
    let asks = |text: &str| {
        let text = text.to_lowercase();
        ["summar", "headline", "tl;dr"]
            .iter()
            .any(|word| text.contains(word))
    };
    if !prompt.instructions.is_empty() {
        return (asks(&prompt.instructions) || asks(&prompt.system))
            .then(|| (prompt.subject.clone(), prompt.instructions.clone()));
    }
    // Without delimiters: the first or the last paragraph may be the wish.
    let text = prompt.subject.trim();
    let first = text.split('\n').next().unwrap_or_default();
    let last = text.rsplit('\n').next().unwrap_or_default();
    let (document, instructions) = if asks(first) && first.len() < text.len() {
        (&text[first.len()..], first)
    } else if asks(last) && last.len() < text.len() {
        (&text[..text.len() - last.len()], last)
    } else if let Some((wish, document)) = first.split_once(": ").filter(|(wish, _)| asks(wish)) {
        (document, wish)
    } else if asks(&prompt.system) {
        (text, prompt.system.as_str())
    } else {
        return None;
    };
    Some((document.to_owned(), instructions.to_owned()))
}

fn read(instructions: &str) -> SummaryRequest {
    let lower = instructions.to_lowercase();
    let form = if lower.contains("headline") {
        SummaryForm::Headline
    } else if lower.contains("bullet") || lower.contains("\"- \"") {
        SummaryForm::Bullets
    } else {
        SummaryForm::Text
    };
    let focus = ["dwell on", "focus on"].iter().find_map(|phrase| {
        let (_, rest) = lower.split_once(phrase)?;
        rest.lines().next().map(str::to_owned)
    });
    SummaryRequest {
        form,
        length: length(&lower),
        focus: focus.unwrap_or_default(),
    }
}

/// The last number before a word for a unit: `one or two sentences` is two.
/// Of several lengths the last one counts: `one point a line` comes before it.
fn length(instructions: &str) -> SummaryLength {
    let mut length = SummaryLength::Sentences(SENTENCES);
    let mut number = None;
    for word in instructions.split(|c: char| !c.is_alphanumeric()) {
        let figure = word
            .parse()
            .ok()
            .filter(|figure| (1..=10_000).contains(figure));
        let spelled = NUMBERS
            .iter()
            .position(|it| *it == word)
            .filter(|it| *it > 0);
        number = match (figure.or(spelled), number) {
            (Some(figure), _) => Some(figure),
            (None, Some(figure)) => match word {
                "sentence" | "sentences" | "bullet" | "bullets" | "point" | "points" => {
                    length = SummaryLength::Sentences(figure);
                    None
                }
                "words" => {
                    length = SummaryLength::Words(figure);
                    None
                }
                "or" | "to" | "short" | "concise" | "" => Some(figure),
                _ => None,
            },
            (None, None) => None,
        };
    }
    length
}

/// The sentences that make the summary, in their order.
fn choose<'a>(sentences: &'a [String], wanted: &SummaryRequest) -> Vec<&'a str> {
    let mut ranked = rank(sentences, &wanted.focus);
    let is_long = |index: &usize| sentences[*index].split(' ').count() >= FEWEST_WORDS;
    if ranked.iter().any(is_long) {
        ranked.retain(is_long);
    }
    if wanted.form == SummaryForm::Headline {
        ranked.truncate(1);
    }
    match wanted.length {
        SummaryLength::Sentences(count) => ranked.truncate(count),
        SummaryLength::Words(words) => {
            let mut total = 0;
            // A sentence that would take it too far is passed over for a
            // shorter one.
            ranked.retain(|index| {
                let count = sentences[*index].split(' ').count();
                let fits = total == 0 || total + count <= words + words / 10;
                if fits {
                    total += count;
                }
                fits
            });
        }
    }
    ranked.sort_unstable();
    ranked
        .into_iter()
        .map(|index| sentences[index].as_str())
        .collect()
}

/// Positions of the sentences, best first, each text once.
fn rank(sentences: &[String], focus: &str) -> Vec<usize> {
    let document = WordCounts::of(&sentences.join(" "));
    let focus: HashSet<String> = stems(focus).collect();
    let mut seen = HashSet::new();
    let mut scored: Vec<(usize, f64)> = sentences
        .iter()
        .enumerate()
        .filter(|(_, sentence)| seen.insert(sentence.as_str()))
        .map(|(index, sentence)| {
            // What stands first in a document tells most often what it is.
            let place = 1.0 + 0.5 / (1.0 + index as f64);
            (index, place * score(sentence, &document, &focus))
        })
        .collect();
    scored.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    scored.into_iter().map(|(index, _)| index).collect()
}

fn score(sentence: &str, document: &WordCounts, focus: &HashSet<String>) -> f64 {
    let stems: HashSet<String> = stems(sentence).collect();
    let words = sentence.split(' ').count() as f64;
    let mut frequencies: Vec<f64> = stems
        .iter()
        .map(|stem| f64::from(document.count(stem)).ln_1p())
        .collect();
    frequencies.sort_by(f64::total_cmp);
    let sum: f64 = frequencies.iter().sum();
    let on_focus = stems.iter().filter(|stem| focus.contains(*stem)).count() as f64;
    // Neither fragments nor sentences of half a page.
    let length = (words / 6.0).min(1.0) * (40.0 / words).min(1.0);
    length * sum / (stems.len() as f64 + 3.0) * (1.0 + 2.0 * on_focus)
}

/// The beginning of a sentence, without its end.
fn headline(sentence: &str) -> String {
    let words: Vec<&str> = sentence.split(' ').take(HEADLINE_WORDS).collect();
    words
        .join(" ")
        .trim_end_matches(['.', ',', ';', ':'])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "The harbour of Oldport was rebuilt last year. Rebuilding the harbour \
        cost four million euros. A dog barked. Fishing boats use the new harbour every day. The \
        museum opens at nine. Ships of the navy visit the harbour of Oldport in spring.";

    fn summary(instructions: &str) -> String {
        write(&Prompt {
            subject: DOCUMENT.to_owned(),
            instructions: format!("Summarize the document above.\n{instructions}"),
            ..Prompt::default()
        })
        .unwrap()
    }

    #[test]
    fn as_many_sentences_as_asked_in_their_order() {
        let text = summary("Write running text. Write exactly 2 sentences.");
        assert!(text.starts_with(MARK));
        assert_eq!(text.matches('.').count(), 2);
        let found: Vec<_> = text[MARK.len()..]
            .split_inclusive('.')
            .map(|sentence| DOCUMENT.find(sentence.trim()).unwrap())
            .collect();
        assert!(found.is_sorted());
        assert!(!text.contains("dog"));
    }

    #[test]
    fn every_form() {
        let bullets = summary(
            "Write a list, one point a line, each line beginning with \"- \". \
             Write exactly 3 bullets.",
        );
        assert_eq!(bullets.lines().count(), 3);
        assert!(bullets.lines().all(|line| line.starts_with("- ")));
        let headline = summary("Write a headline: one line of at most fifteen words.");
        assert!(headline.split(' ').count() <= 16 && !headline.contains('\n'));
        let words = summary("Write about 20 words.");
        assert!((8..=23).contains(&words.split(' ').count()), "{words}");
        let museum = summary("Write exactly 1 sentence.\nDwell on: the museum");
        assert_eq!(museum, "[simulated] The museum opens at nine.");
    }

    #[test]
    fn lengths_are_read() {
        assert_eq!(
            length("write one or two sentences."),
            SummaryLength::Sentences(2)
        );
        assert_eq!(
            length("write about fifteen bullets."),
            SummaryLength::Sentences(15)
        );
        assert_eq!(length("in 3 short sentences"), SummaryLength::Sentences(3));
        assert_eq!(length("use 100 words"), SummaryLength::Words(100));
        assert_eq!(
            length("the 3 of us want a summary"),
            SummaryLength::Sentences(SENTENCES)
        );
    }

    #[test]
    fn a_wish_without_delimiters_is_found() {
        let prompt = |whole: &str| Prompt {
            subject: whole.to_owned(),
            whole: whole.to_owned(),
            ..Prompt::default()
        };
        let summary = write(&prompt(&format!("Summarize in one sentence:\n{DOCUMENT}")));
        assert!(summary.is_some_and(|it| it.contains("harbour")));
        assert_eq!(write(&prompt(DOCUMENT)), None);
    }
}

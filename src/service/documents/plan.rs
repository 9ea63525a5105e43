//! What a document would take, without any call.

use super::{
    input::{DocumentInput, DocumentMessage, not_utf8, violation},
    requests::{ClassifyRequests, SummaryRequests},
    sizes::CallSizes,
    totals::DocumentTotals,
};
use crate::documents::{Splitter, merge_groups};
use tonic::Status;

/// Tokens of the prompt around a text.
const PROMPT: u64 = 300;

/// The tokens of each part of a document: of one, if it fits one call.
#[derive(Debug)]
pub struct PartTokens(Vec<u64>);

// === impl PartTokens ===

impl PartTokens {
    /// Reads a document, and splits it as it would be for calls. It holds a document of one
    /// call.
    ///
    /// # Errors
    /// When the document cannot be read, or is empty.
    pub async fn read<M: DocumentMessage>(
        input: &mut DocumentInput<M>,
        sizes: CallSizes,
    ) -> Result<Self, Status> {
        let mut whole = Some(Splitter::new(sizes.measure, sizes.whole));
        let mut parts = Splitter::new(sizes.measure, sizes.part);
        let (mut tokens, mut is_blank) = (Vec::new(), true);
        loop {
            let chunk = input.next().await?;
            match &chunk {
                Some(chunk) => {
                    parts.push(chunk).map_err(not_utf8)?;
                    if let Some(splitter) = &mut whole {
                        input.hold(chunk.len()).await?;
                        splitter.push(chunk).map_err(not_utf8)?;
                        if splitter.next_part().is_some() {
                            whole = None;
                        }
                    }
                }
                None => parts.end().map_err(not_utf8)?,
            }
            while let Some(part) = parts.next_part() {
                is_blank &= part.trim().is_empty();
                tokens.push(sizes.measure.tokens(&part));
            }
            if chunk.is_none() {
                break;
            }
        }
        if is_blank {
            return Err(violation("chunk", "the document must not be empty"));
        }
        Ok(PartTokens(match whole {
            Some(_) => vec![tokens.iter().sum()],
            None => tokens,
        }))
    }

    /// Counts what the summary takes.
    pub fn summarized(self, requests: &SummaryRequests, totals: &mut DocumentTotals) {
        let (sizes, model) = (&requests.sizes, requests.model());
        let summary = match self.0.len() {
            1 => requests.summary_tokens(),
            _ => requests.part_summary_tokens(),
        };
        for part in &self.0 {
            totals.add_part();
            totals.add_expected_call(model, part + PROMPT, summary);
        }
        let mut summaries = vec![summary; self.0.len()];
        while summaries.len() > 1 {
            totals.add_level();
            let groups = merge_groups(&summaries, sizes.part);
            let merged = match groups.len() {
                1 => requests.summary_tokens(),
                _ => summary,
            };
            for group in groups.iter().filter(|group| group.len() > 1) {
                let input: u64 = summaries[group.clone()].iter().sum();
                totals.add_expected_call(model, input + PROMPT, merged);
            }
            summaries = vec![summary; groups.len()];
        }
    }

    /// Counts what the labels take.
    pub fn classified(self, requests: &ClassifyRequests, totals: &mut DocumentTotals) {
        let prompt = requests.sizes.prompt + PROMPT;
        for part in &self.0 {
            totals.add_part();
            totals.add_expected_call(requests.model(), part + prompt, requests.answer_tokens());
        }
    }
}

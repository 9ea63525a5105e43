//! The flag for what is sent of a PDF.

use crate::kinds::PdfForm;

/// The flag for what is sent of a PDF.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct PdfFlag {
    /// What to send of a PDF. The model sees pictures, tables and layout of a document, and
    /// pays for the picture of each page. By default, a PDF of at most 100 pages and 22 MiB is
    /// one, if it is not encrypted and leaves room in a context window of 200,000 tokens.
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pdf: PdfForm,
}

// === impl PdfFlag ===

impl PdfFlag {
    /// What to send of a PDF.
    pub fn form(self) -> PdfForm {
        self.pdf
    }

    /// What it adds to the options that an answer depends on: nothing for the default, so that
    /// answers of runs before there was a choice are still theirs.
    pub fn options(self) -> Vec<u8> {
        match self.pdf {
            PdfForm::Auto => Vec::new(),
            form => format!("pdf={}\0", form.name()).into_bytes(),
        }
    }
}

//! What a call used, by what each token costs.

use crate::claude::answer::Usage;

/// Token counts of a call. No token is in two of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input, neither read from nor written to the cache.
    pub input: u64,
    /// Output, thinking included.
    pub output: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Input written to the cache for an hour.
    pub cache_write_1h: u64,
}

impl Tokens {
    /// The token counts of a usage report; a count that the API left out is 0.
    pub fn of(usage: &Usage) -> Tokens {
        let written = usage.cache_creation_input_tokens.unwrap_or(0);
        let for_an_hour = usage.cache_creation.as_ref();
        let for_an_hour = for_an_hour.map_or(0, |it| it.ephemeral_1h_input_tokens.min(written));
        Tokens {
            input: usage.input_tokens.unwrap_or(0),
            output: usage.output_tokens.unwrap_or(0),
            cache_read: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write_5m: written - for_an_hour,
            cache_write_1h: for_an_hour,
        }
    }

    /// Overwrites every count that a later report has.
    pub fn update(&mut self, later: &Usage) {
        self.input = later.input_tokens.unwrap_or(self.input);
        self.output = later.output_tokens.unwrap_or(self.output);
        self.cache_read = later.cache_read_input_tokens.unwrap_or(self.cache_read);
        let written = later.cache_creation_input_tokens;
        let written = written.unwrap_or_else(|| self.cache_write());
        let for_an_hour = later.cache_creation.as_ref();
        let for_an_hour =
            for_an_hour.map_or(self.cache_write_1h, |it| it.ephemeral_1h_input_tokens);
        self.cache_write_1h = for_an_hour.min(written);
        self.cache_write_5m = written - self.cache_write_1h;
    }

    /// All input tokens, from the cache or not.
    pub fn all_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write())
    }

    /// Input written to the cache, for 5 minutes or for 1 hour.
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }

    /// Adds the tokens of another attempt.
    pub fn add(&mut self, more: &Tokens) {
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        add(&mut self.input, more.input);
        add(&mut self.output, more.output);
        add(&mut self.cache_read, more.cache_read);
        add(&mut self.cache_write_5m, more.cache_write_5m);
        add(&mut self.cache_write_1h, more.cache_write_1h);
    }
}

//! The table of models in docs/models.md.

use crate::{hold_section, row};
use claude_grpc::models::{KnownModel, PricePeriod, Rates, catalogue};

#[test]
fn the_table_of_models_is_that_of_the_catalogue() {
    let mut table = row([
        "model",
        "released",
        "retires",
        "context",
        "output",
        "cache from",
        "price",
    ]);
    table.push_str("|---|---|---|---|---|---|---|\n");
    for model in catalogue().models() {
        let dates = &model.lifecycle;
        let limits = &model.limits;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.push_str(&row([
            &format!("`{}`", model.id()),
            &dates.released.to_string(),
            &or_dash(dates.retires.map(|day| day.to_string())),
            &limits.context_window.to_string(),
            &limits.max_output.to_string(),
            &or_dash(limits.cache_minimum.map(|tokens| tokens.to_string())),
            &prices(model),
        ]));
    }
    hold_section("docs/models.md", "models", &table);
}

fn prices(model: &KnownModel) -> String {
    let prices: Vec<String> = model.prices.iter().map(price).collect();
    match prices.is_empty() {
        true => "unknown".to_owned(),
        false => prices.join("; "),
    }
}

fn price(period: &PricePeriod) -> String {
    let mut text = format!("from {}: {}", period.from, rates(period.rates));
    let long_context = period.long_context_threshold.zip(period.long_context_rates);
    if let Some((threshold, long)) = long_context {
        text.push_str(&format!("; above {threshold} tokens: {}", rates(long)));
    }
    text
}

fn rates(rates: Rates) -> String {
    format!(
        "{} / {} / {} / {} / {}",
        rates.input, rates.output, rates.cache_write, rates.cache_write_1h, rates.cache_read
    )
}

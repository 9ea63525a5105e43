//! The catalogue as it ships, and the prices that follow from it.

use super::*;
use crate::claude::answer::{CacheCreation, Usage};
use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

const DOLLAR: Nanodollars = 1_000_000_000;
const MILLION: u64 = 1_000_000;

/// The ids of `types/model.py` in PyPI `anthropic` 2.14.0. `tests/sdk` compares the
/// installed version.
const SDK: [&str; 22] = [
    "claude-fable-5-2",
    "claude-mythos-5-2",
    "claude-haiku-5-5",
    "claude-sonnet-5-5",
    "claude-fable-5-1",
    "claude-opus-5-5",
    "claude-mythos-5-1",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-mythos-5",
    "claude-opus-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-mythos-preview",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-haiku-4-5-20251001",
    "claude-opus-4-5",
    "claude-opus-4-5-20251101",
    "claude-sonnet-4-5",
    "claude-sonnet-4-5-20250929",
];

fn day(text: &str) -> Day {
    serde_json::from_str(&format!("{text:?}")).unwrap()
}

fn today() -> Day {
    day("2026-11-27")
}

fn tokens(input: u64, output: u64) -> Tokens {
    Tokens {
        input,
        output,
        ..Tokens::default()
    }
}

fn read(cache_read: u64) -> Tokens {
    Tokens {
        cache_read,
        ..Tokens::default()
    }
}

/// The cost at list prices.
fn cost(model: &str, tokens: &Tokens) -> Option<Nanodollars> {
    PriceTable::new(&[], today()).cost(model, tokens, today)
}

fn flat(model: &str, input: f64) -> ModelPrice {
    ModelPrice {
        model: model.to_owned(),
        rates: Rates {
            input,
            output: 0.0,
            cache_write: 0.0,
            cache_write_1h: 0.0,
            cache_read: 0.0,
        },
        long_context_threshold: None,
        long_context_rates: None,
    }
}

// === the file

#[test]
fn the_catalogue_has_the_models_of_the_sdks_and_no_other() {
    let listed = catalogue().models().iter();
    let listed: BTreeSet<&str> = listed.flat_map(|it| [&it.name, it.id()]).collect();
    assert_eq!(listed, BTreeSet::from(SDK));
}

#[test]
fn every_figure_has_a_source_with_a_date_and_every_source_is_cited() {
    let catalogue = catalogue();
    let mut cited: Vec<&[String]> = vec![&catalogue.batch().source, &catalogue.bedrock().source];
    cited.extend(catalogue.tokenizers().values().map(|it| &*it.source));
    for model in catalogue.models() {
        let hosts = &model.hosts;
        if hosts.vertex.is_some() || hosts.foundry.is_some() || !hosts.bedrock.is_empty() {
            cited.push(&hosts.source);
        }
        cited.extend([
            &*model.lifecycle.source,
            &*model.limits.source,
            &*model.rules.source,
        ]);
        cited.extend(model.prices.iter().map(|it| &*it.source));
    }
    assert!(cited.iter().all(|keys| !keys.is_empty()));
    let cited: BTreeSet<&String> = cited.into_iter().flatten().collect();
    assert_eq!(cited, catalogue.sources().keys().collect());
    for source in catalogue.sources().values() {
        assert!(!source.page.is_empty());
        assert!(source.as_of <= Day::today(), "{source:?}");
    }
}

#[test]
fn the_entries_are_consistent() {
    let catalogue = catalogue();
    let released = |model: &KnownModel| model.lifecycle.released;
    let newest_first = catalogue.models().iter().map(released);
    assert!(newest_first.is_sorted_by(|newer, older| newer >= older));
    let mut ids = HashSet::new();
    for model in catalogue.models() {
        let name = &model.name;
        let of_model: HashSet<&str> = model.ids().collect();
        assert!(of_model.iter().all(|id| ids.insert(*id)), "{name}");
        assert!(catalogue.tokenizers().contains_key(&model.tokenizer));
        assert!(name.starts_with(&format!("claude-{}-", model.line)));
        let dates = &model.lifecycle;
        let in_order = [Some(dates.released), dates.deprecated, dates.retires];
        assert!(in_order.into_iter().flatten().is_sorted(), "{name}");
        let replacement = dates.replacement.as_deref();
        assert!(replacement.is_none_or(|it| catalogue.find(it).is_some()));
        assert!(model.prices.iter().map(|it| it.from).is_sorted(), "{name}");
        for price in &model.prices {
            let rates = [Some(price.rates), price.long_context_rates];
            assert!(rates.into_iter().flatten().all(Rates::are_prices));
            let both = (price.long_context_threshold, price.long_context_rates);
            assert!(matches!(both, (None, None) | (Some(_), Some(_))), "{name}");
        }
        assert!(model.rules.effort.is_sorted(), "{name}");
        assert!(!model.rules.thinking.is_empty(), "{name}");
    }
}

// === lookup

#[test]
fn every_id_of_a_model_finds_it() {
    for (id, name) in [
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("anthropic.claude-haiku-4-5", "claude-haiku-4-5"),
        (
            "us-gov.anthropic.claude-haiku-4-5-20251001-v1:0",
            "claude-haiku-4-5",
        ),
        ("eu.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        (
            "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/global.anthropic.claude-sonnet-4-6",
            "claude-sonnet-4-6",
        ),
        // A date of which nothing is known.
        ("claude-opus-5-5-20270101", "claude-opus-5-5"),
    ] {
        assert_eq!(catalogue().find(id).map(|it| &*it.name), Some(name), "{id}");
        assert_eq!(name_of(id), name);
    }
    for unknown in [
        "",
        "claude",
        "claude-haiku-4-5-preview",
        "claude-haiku-5-520251001",
        "claude-haiku-5-5@20251001",
        "anthropic.claude-opus-4-6",
        "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/abc",
    ] {
        assert!(catalogue().find(unknown).is_none(), "{unknown}");
        assert_eq!(name_of(unknown), unknown);
    }
    assert_eq!(name_of("ours-20270101"), "ours");
}

// === prices

#[test]
fn a_call_costs_what_the_list_says() {
    let cents = |cents: f64| Some((cents * 1e7).round() as Nanodollars);
    for (model, tokens, expected) in [
        ("claude-opus-5", read(900_000), cents(45.0)),
        ("claude-opus-4-8", read(900_000), cents(45.0)),
        ("claude-opus-5-5", read(900_000), cents(18.0)),
        ("claude-fable-5", read(900_000), cents(90.0)),
        ("claude-fable-5-1", read(900_000), cents(22.5)),
        ("claude-fable-5-2", read(900_000), cents(18.0)),
        ("claude-sonnet-5", read(900_000), cents(18.0)),
        ("claude-sonnet-5-5", read(900_000), cents(9.0)),
        ("claude-sonnet-4-6", read(900_000), cents(27.0)),
        ("claude-sonnet-5", tokens(100_000, 1000), cents(21.0)),
        ("claude-sonnet-5-5", tokens(100_000, 1000), cents(21.0)),
        ("claude-fable-5-2", tokens(100_000, 1000), cents(84.0)),
        ("claude-mythos-5-2", tokens(100_000, 1000), cents(84.0)),
        ("claude-sonnet-5-5", tokens(MILLION, MILLION), cents(1200.0)),
        (
            "claude-sonnet-4-5-20250929",
            tokens(MILLION, 0),
            cents(300.0),
        ),
        (
            "claude-haiku-4-5-20251001",
            tokens(MILLION, 0),
            cents(100.0),
        ),
        (
            "claude-haiku-4-5@20251001",
            tokens(MILLION, 0),
            cents(100.0),
        ),
        // The whole call is dear beyond the threshold, whatever its tokens are.
        ("claude-haiku-5-5", tokens(1, 0), Some(100)),
        ("claude-haiku-5-5", tokens(100_000, 0), cents(1.0)),
        ("claude-haiku-5-5", tokens(100_001, 0), Some(50_000_500)),
        ("claude-haiku-5-5", read(900_000), cents(4.5)),
        // Bedrock: where the call may go decides.
        ("global.anthropic.claude-opus-5", read(900_000), cents(45.0)),
        ("eu.anthropic.claude-opus-5", read(900_000), cents(49.5)),
        ("anthropic.claude-opus-5", read(900_000), cents(49.5)),
        ("us-gov.anthropic.claude-opus-5", read(900_000), None),
        // Known, and without a price.
        ("claude-mythos-preview", tokens(1, 1), None),
        ("not-listed", tokens(1, 1), None),
        ("claude-haiku-4-5-preview", tokens(1, 1), None),
        ("", tokens(1, 1), None),
    ] {
        assert_eq!(cost(model, &tokens), expected, "{model} {tokens:?}");
    }
}

#[test]
fn the_cache_has_prices_of_its_own() {
    let usage = Usage {
        cache_creation_input_tokens: Some(2 * MILLION),
        cache_read_input_tokens: Some(MILLION),
        cache_creation: Some(CacheCreation {
            ephemeral_5m_input_tokens: MILLION,
            ephemeral_1h_input_tokens: MILLION,
        }),
        ..Usage::default()
    };
    let tokens = Tokens::of(&usage);
    assert_eq!(tokens.all_input(), usage.total_input_tokens());
    assert_eq!(cost("claude-sonnet-5-5", &tokens), Some(6_600_000_000));
}

#[test]
fn a_price_holds_from_its_day_on() {
    const MODEL: &str = "claude-sonnet-5-5";
    let tokens = read(MILLION);
    let (old, new) = (Some(DOLLAR / 5), Some(DOLLAR / 10));
    let change = day("2026-10-07");
    let moment = |seconds: u64| Day::since_1970(Duration::from_secs(seconds));
    let started_before = PriceTable::new(&[], day("2026-10-01"));
    for (now, expected) in [
        (day("2026-09-28"), old),
        (moment(change.begins() - 1), old),
        (moment(change.begins()), new),
        (today(), new),
    ] {
        let seen = started_before.cost(MODEL, &tokens, || now);
        assert_eq!(seen, expected, "{now}");
    }
    // A process that starts later knows no earlier price, and needs no clock.
    let started_after = PriceTable::new(&[], change);
    let no_clock = || panic!("no change is ahead");
    assert_eq!(started_after.cost(MODEL, &tokens, no_clock), new);
}

#[test]
fn an_override_replaces_the_price_of_one_model() {
    let overrides = [
        flat("claude-haiku-4-5", 7.0),
        flat("eu.anthropic.claude-opus-5", 8.0),
        flat("claude-opus-4-5-20251101", 5.5),
        flat("ours", 9.0),
        flat("ours", 1.0),
    ];
    let prices = PriceTable::new(&overrides, today());
    let cost = |model: &str| {
        let cost = prices.cost(model, &tokens(MILLION, 0), today)?;
        Some(cost as f64 / DOLLAR as f64)
    };
    for (model, dollars) in [
        ("claude-haiku-4-5", Some(7.0)),
        ("claude-haiku-4-5-20251001", Some(7.0)),
        ("claude-haiku-4-5@20251001", Some(7.0)),
        ("eu.anthropic.claude-haiku-4-5", Some(7.7)),
        // Of one id on another host, and of no other.
        ("eu.anthropic.claude-opus-5", Some(8.0)),
        ("us.anthropic.claude-opus-5", Some(5.5)),
        ("claude-opus-5", Some(5.0)),
        ("claude-opus-4-5", Some(5.5)),
        ("ours", Some(9.0)),
        ("ours-20270101", Some(9.0)),
        ("ours-too", None),
        ("claude-sonnet-5-5", Some(2.0)),
    ] {
        assert_eq!(cost(model), dollars, "{model}");
    }
    let both = [
        flat("claude-haiku-4-5", 7.0),
        flat("claude-haiku-4-5-20251001", 6.0),
    ];
    let prices = PriceTable::new(&both, today());
    let cost = |model| prices.cost(model, &tokens(MILLION, 0), today).unwrap();
    assert_eq!(cost("claude-haiku-4-5"), 7 * DOLLAR);
    assert_eq!(cost("claude-haiku-4-5-20251001"), 6 * DOLLAR);
}

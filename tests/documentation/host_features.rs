//! The table of what each host lacks in docs/hosts.md.

use crate::{hold_section, row};
use claude_grpc::{
    host_features::{LackRow, MessageFeature, lack_catalogue},
    upstream::HostKind,
};

const KINDS: [HostKind; 7] = [
    HostKind::Claude,
    HostKind::ClaudePlatformAws,
    HostKind::BedrockMantle,
    HostKind::BedrockRuntime,
    HostKind::Vertex,
    HostKind::GoogleCloud,
    HostKind::Foundry,
];

#[test]
fn the_table_of_what_hosts_lack_is_that_of_the_catalogue() {
    let names = KINDS.map(|kind| format!("`{}`", kind.name()));
    let [claude, aws, mantle, runtime, vertex, google, foundry] = names.each_ref();
    let mut table = row([
        "feature",
        "a request needs it for",
        claude,
        aws,
        mantle,
        runtime,
        vertex,
        google,
        foundry,
    ]);
    table.push_str("|---|---|---|---|---|---|---|---|---|\n");
    let mut notes = String::new();
    for feature in MessageFeature::ALL {
        let cells = KINDS.map(|kind| cell(lacking(kind, feature)));
        let name = format!("`{}`", feature.name());
        let [claude, aws, mantle, runtime, vertex, google, foundry] = cells;
        table.push_str(&row([
            &name,
            feature.needed_by(),
            claude,
            aws,
            mantle,
            runtime,
            vertex,
            google,
            foundry,
        ]));
        for kind in KINDS {
            let Some(row) = lacking(kind, feature).filter(|row| !row.but_for.is_empty()) else {
                continue;
            };
            let models = row.but_for.iter().map(|model| format!("`{model}`"));
            let models = models.collect::<Vec<_>>().join(", ");
            let kind = kind.name();
            notes.push_str(&format!("\n`{kind}` has {name} for {models}.\n"));
        }
    }
    let mut sources = String::from("\nSources:\n\n");
    for source in lack_catalogue().sources().values() {
        sources.push_str(&format!("- {}, as of {}\n", source.page, source.as_of));
    }
    hold_section(
        "docs/hosts.md",
        "host features",
        &format!("{table}{notes}{sources}"),
    );
}

/// Nothing in the catalogue belongs to a host that there is not.
#[test]
fn the_catalogue_names_the_kinds_of_hosts() {
    for name in lack_catalogue().kinds() {
        assert!(KINDS.iter().any(|kind| kind.name() == name), "{name}");
    }
}

fn lacking(kind: HostKind, feature: MessageFeature) -> Option<&'static LackRow> {
    let mut rows = lack_catalogue().of(kind.name()).iter();
    rows.find(|row| row.feature == feature)
}

fn cell(row: Option<&LackRow>) -> &'static str {
    match row {
        None => "yes",
        Some(row) if row.but_for.is_empty() => "–",
        Some(_) => "some models",
    }
}

//! `docs/configuration.md` and the sample `deploy/claude-grpc.toml`, from the
//! documentation of the fields in `src/**/config.rs` and the defaults that
//! `claude-grpc config check` prints.

use crate::{hold_file, hold_section, row};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use toml::{Table, Value};

/// Values for the sample, of keys that have no default.
const EXAMPLES: &[(&str, &str)] = &[
    ("server.max_bytes_in_flight", "134217728"),
    ("server.max_connections_per_peer", "2500"),
    ("server.reflection", "true"),
    ("server.tls.cert_file", "\"/run/tls/tls.crt\""),
    ("server.tls.key_file", "\"/run/tls/tls.key\""),
    ("server.tls.client_ca_file", "\"/run/tls/ca.crt\""),
    (
        "upstream.api_key_file",
        "\"/run/secrets/anthropic-api-key\"",
    ),
    ("upstream.ca_file", "\"/etc/ssl/proxy-ca.crt\""),
    ("upstream.workspace_id", "\"wrkspc_01ABC\""),
    ("upstream.user_profile_id", "\"profile_01ABC\""),
    ("batches.state_file", "\"/var/lib/claude-grpc/batches\""),
    ("batches.key_file", "\"/etc/claude-grpc/batches.key\""),
    ("files.state_file", "\"/var/lib/claude-grpc/files\""),
    ("files.key_file", "\"/etc/claude-grpc/files.key\""),
    (
        "response_cache.key_file",
        "\"/etc/claude-grpc/responses.key\"",
    ),
    ("access.clients_file", "\"/etc/claude-grpc/clients.toml\""),
    (
        "limits.budget_file",
        "\"/var/lib/claude-grpc/budgets.redb\"",
    ),
    (
        "limits.redis.password_file",
        "\"/run/secrets/redis-password\"",
    ),
    ("limits.redis.ca_file", "\"/run/tls/redis-ca.crt\""),
    ("limits.redis.cert_file", "\"/run/tls/tls.crt\""),
    ("limits.redis.key_file", "\"/run/tls/tls.key\""),
    ("limits.redis.sentinel_user", "\"claude-grpc\""),
    (
        "limits.redis.sentinel_password_file",
        "\"/run/secrets/sentinel-password\"",
    ),
    (
        "secrets.encrypted_env_file",
        "\"/etc/claude-grpc/.env.enc\"",
    ),
    ("secrets.key_file", "\"/run/secrets/fernet-keys\""),
    (
        "secrets.kms.ciphertext_file",
        "\"/etc/claude-grpc/api-key.kms\"",
    ),
    (
        "secrets.kms.key_id",
        "\"arn:aws:kms:eu-central-1:111122223333:key/…\"",
    ),
    (
        "secrets.kms.endpoint_url",
        "\"https://vpce-….kms.eu-central-1.vpce.amazonaws.com\"",
    ),
    ("secrets.kms.region", "\"eu-central-1\""),
    ("simulator.fixtures_file", "\"fixtures.toml\""),
    ("simulator.tls.cert_file", "\"/run/tls/tls.crt\""),
    ("simulator.tls.key_file", "\"/run/tls/tls.key\""),
    ("simulator.tls.generated_ca_file", "\"simulator-ca.crt\""),
    ("admin.listen", "\"127.0.0.1:9464\""),
];

/// Entries for the sample, of lists of tables that are empty by default.
const EXAMPLE_ENTRIES: &[(&str, &str)] = &[
    (
        "upstream.hosts",
        r#"
    [[entries]]
    name = "bedrock"
    kind = "bedrock_runtime"
    base_url = "https://vpce-0123.bedrock-runtime.eu-central-1.vpce.amazonaws.com"
    region = "eu-central-1"
    project = "a-project"
    workspace_id = "wrkspc_01ABC"
    resource = "a-resource"
    inference_profile = "eu"
    api_key_file = "/run/secrets/bedrock-key"
    credentials = "key"
    aws_profile = "claude"
    federation_rule_id = "fdrl_01ABC"
    organization_id = "00000000-0000-4000-8000-000000000001"
    service_account_id = "svac_01ABC"
    identity_token_file = "/run/secrets/identity/token"
    ca_file = "/etc/ssl/proxy-ca.crt"
    has = ["structured_outputs"]
    lacks = ["citations"]
    rate_limits = { requests_per_minute = 500, input_tokens_per_minute = 1000000, output_tokens_per_minute = 200000, models = { "claude-haiku-4-5" = { requests_per_minute = 1000 } } }
    max_in_flight = 100
    models = { "claude-opus-5" = "arn:aws:bedrock:eu-central-1:111122223333:application-inference-profile/abc123" }
    "#,
    ),
    (
        "upstream.routes",
        r#"
    [[entries]]
    rpcs = ["classify"]
    targets = [{ host = "bedrock", model = "claude-haiku-4-5", weight = 3 }, { host = "claude", weight = 1 }]
    "#,
    ),
    (
        "simulator.tokens",
        r#"
    [[entries]]
    token = "a-token"
    expires_after = "10s"
    "#,
    ),
    (
        "limits.prices",
        r#"
    [[entries]]
    model = "a-model-of-ours"
    rates = { input = 0.1, output = 0.5, cache_write = 0.125, cache_write_1h = 0.2, cache_read = 0.01 }
    long_context_threshold = 100000
    long_context_rates = { input = 0.5, output = 2.5, cache_write = 0.625, cache_write_1h = 1.0, cache_read = 0.05 }
    "#,
    ),
];

const SAMPLE_HEAD: &str = "\
# Sample configuration of claude-grpc: every key, with its default.
#
# Pass the file with --config or CLAUDE_GRPC_CONFIG. An environment variable
# overrides the file (server.listen is CLAUDE_GRPC_SERVER__LISTEN; lists are
# separated by commas), and a flag overrides both. `claude-grpc config check`
# prints the effective configuration.
#
# The API key is not part of the configuration: see docs/configuration.md.
";

// === what the sources say

/// A struct of the configuration, with its documentation.
#[derive(Debug, Default)]
struct Section {
    docs: String,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    kind: String,
    docs: String,
}

/// All structs of files named `config.rs` or `pricing.rs`, and the whole
/// configuration. They are
/// formatted by rustfmt, so that a field is a line.
fn sections() -> BTreeMap<String, Section> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join("config/mod.rs")];
    config_files(&source, &mut files);
    let mut found = BTreeMap::new();
    for file in files {
        let sections = sections_of(&file);
        // Where two files use the same name, each means its own type.
        let names: Vec<String> = sections.iter().map(|(name, _)| name.clone()).collect();
        let own = |name: String| match names.contains(&name) && found.contains_key(&name) {
            true => format!("{name} of {}", file.display()),
            false => name,
        };
        let mut qualified = BTreeMap::new();
        for (name, mut section) in sections {
            for field in &mut section.fields {
                field.kind = own(std::mem::take(&mut field.kind));
            }
            qualified.insert(own(name), section);
        }
        found.append(&mut qualified);
    }
    found
}

fn sections_of(file: &Path) -> Vec<(String, Section)> {
    let (mut found, mut open) = (Vec::new(), None::<(String, Section)>);
    let mut docs = String::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        let text = line.trim();
        let field = text
            .strip_prefix("pub ")
            .and_then(|field| field.split_once(": "));
        if let Some(doc) = text.strip_prefix("///") {
            docs.push_str(doc);
        } else if let Some(name) = text.strip_prefix("pub struct ").and_then(struct_name) {
            let docs = plain(&std::mem::take(&mut docs));
            let fields = Vec::new();
            open = Some((name.to_owned(), Section { docs, fields }));
        } else if line == "}" {
            found.extend(open.take());
        } else if let (Some((_, section)), Some((name, kind))) = (&mut open, field) {
            section.fields.push(Field {
                name: name.to_owned(),
                kind: kind.trim_end_matches(',').to_owned(),
                docs: plain(&std::mem::take(&mut docs)),
            });
        } else if !text.starts_with("#[") && !text.starts_with("// ") {
            docs.clear();
        }
    }
    found
}

fn struct_name(rest: &str) -> Option<&str> {
    rest.strip_suffix(" {")
}

fn config_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            config_files(&path, found);
        } else if path.ends_with("config.rs") || path.ends_with("pricing.rs") {
            found.push(path);
        }
    }
}

/// Documentation in one line, without the name of a table in front and without
/// links to items.
fn plain(docs: &str) -> String {
    let docs = docs.replace("[`", "`").replace("`]", "`");
    let docs = docs.trim();
    let Some((_, docs)) = docs
        .split_once("`: ")
        .filter(|(head, _)| head.starts_with("`"))
    else {
        return docs.to_owned();
    };
    let mut letters = docs.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

fn defaults() -> Table {
    let output = Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
        .args(["config", "check"])
        .env_clear()
        .output()
        .unwrap();
    toml::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

/// A section in its place: `server.tls`, what it consists of, and its defaults.
struct Placed<'a> {
    path: String,
    section: &'a Section,
    defaults: Table,
}

/// The sections below one, in their order, each before those within it.
fn place<'a>(
    sections: &'a BTreeMap<String, Section>,
    name: &str,
    path: &str,
    defaults: &Table,
    placed: &mut Vec<Placed<'a>>,
) {
    let section = &sections[name];
    if !path.is_empty() {
        placed.push(Placed {
            path: path.to_owned(),
            section,
            defaults: defaults.clone(),
        });
    }
    for field in section
        .fields
        .iter()
        .filter(|it| sections.contains_key(&it.kind))
    {
        let below = format!("{path}.{}", field.name);
        let table = defaults[&field.name].as_table().unwrap();
        place(
            sections,
            &field.kind,
            below.trim_start_matches('.'),
            table,
            placed,
        );
    }
}

/// The type of the entries, of a field that is an array of tables.
fn entry<'a>(sections: &'a BTreeMap<String, Section>, field: &Field) -> Option<&'a Section> {
    sections.get(field.kind.strip_prefix("Vec<")?.strip_suffix('>')?)
}

// === docs/configuration.md

#[test]
fn the_page_on_configuration_is_that_of_the_code() {
    let (sections, defaults) = (sections(), defaults());
    let mut placed = Vec::new();
    place(&sections, "Config", "", &defaults, &mut placed);
    let mut page = String::new();
    for Placed {
        path,
        section,
        defaults,
    } in &placed
    {
        let _ = writeln!(page, "## `[{path}]`\n\n{}\n", section.docs);
        page.push_str(&row(["key", "default", "meaning"]));
        page.push_str("|---|---|---|\n");
        let is_key = |field: &&Field| !sections.contains_key(&field.kind);
        for field in section.fields.iter().filter(is_key) {
            let default = match defaults.get(&field.name) {
                _ if entry(&sections, field).is_some() => "see below".to_owned(),
                Some(default) => format!("`{default}`"),
                None => "–".to_owned(),
            };
            page.push_str(&row([&format!("`{}`", field.name), &default, &field.docs]));
        }
        page.push('\n');
        for field in &section.fields {
            if let Some(entry) = entry(&sections, field) {
                entries(
                    &mut page,
                    &sections,
                    &format!("{path}.{}", field.name),
                    entry,
                );
            }
        }
    }
    hold_section("docs/configuration.md", "configuration", page.trim_end());
}

fn entries(page: &mut String, sections: &BTreeMap<String, Section>, path: &str, entry: &Section) {
    let _ = writeln!(page, "### `[[{path}]]`\n\n{}\n", entry.docs);
    page.push_str(&row(["key", "meaning"]));
    page.push_str("|---|---|\n");
    for field in &entry.fields {
        let below = sections.get(&field.kind);
        let name = format!("`{}`", field.name);
        page.push_str(&row([&name, &field.docs]));
        for part in below.iter().flat_map(|it| &it.fields) {
            page.push_str(&row([
                &format!("`{}.{}`", field.name, part.name),
                &part.docs,
            ]));
        }
    }
    page.push('\n');
}

// === deploy/claude-grpc.toml

#[test]
fn the_sample_file_is_that_of_the_code() {
    let (sections, defaults) = (sections(), defaults());
    let mut placed = Vec::new();
    place(&sections, "Config", "", &defaults, &mut placed);
    let mut sample = SAMPLE_HEAD.to_owned();
    for Placed {
        path,
        section,
        defaults,
    } in &placed
    {
        let _ = write!(sample, "\n{}[{path}]\n", comment(&section.docs));
        // TOML has the keys of a table before the tables within it.
        let (tables, keys): (Vec<&Field>, Vec<&Field>) = section
            .fields
            .iter()
            .filter(|field| !sections.contains_key(&field.kind))
            .partition(|field| field.kind.contains("Map<") || entry(&sections, field).is_some());
        for field in keys {
            let name = &field.name;
            let _ = write!(sample, "\n{}", comment(&field.docs));
            let _ = match defaults.get(name) {
                Some(default) => writeln!(sample, "{name} = {default}"),
                None => writeln!(sample, "# {name} = {}", example(path, name)),
            };
        }
        for field in tables {
            let _ = write!(sample, "\n{}", comment(&field.docs));
            let path = format!("{path}.{}", field.name);
            match entry(&sections, field) {
                // Such lists are empty by default, so the output has none.
                Some(shape) => {
                    let mut entries = String::new();
                    let items = example_entries(&path);
                    array_of_tables(&mut entries, &sections, &path, shape, &items);
                    sample.push_str(&commented_out(&entries));
                }
                None => {
                    let _ = writeln!(sample, "[{path}]");
                }
            }
        }
    }
    hold_file("deploy/claude-grpc.toml", &sample);
}

fn example(path: &str, name: &str) -> &'static str {
    let key = format!("{path}.{name}");
    let example = EXAMPLES.iter().find(|(of, _)| *of == key);
    example
        .unwrap_or_else(|| panic!("{key} has no default and no example"))
        .1
}

fn example_entries(path: &str) -> Vec<Value> {
    let example = EXAMPLE_ENTRIES.iter().find(|(of, _)| *of == path);
    let (_, toml) = example.unwrap_or_else(|| panic!("{path} is empty and has no example"));
    let mut example: Table = toml::from_str(toml).unwrap();
    match example.remove("entries") {
        Some(Value::Array(entries)) => entries,
        _ => panic!("the example of {path} has no entries"),
    }
}

/// The keys of a table as comments, like its documentation.
fn commented_out(toml: &str) -> String {
    let line = |line: &str| match line.starts_with('#') {
        true => format!("{line}\n"),
        false => format!("# {line}\n"),
    };
    toml.lines().map(line).collect()
}

fn array_of_tables(
    sample: &mut String,
    sections: &BTreeMap<String, Section>,
    path: &str,
    shape: &Section,
    items: &[Value],
) {
    let mut explained = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let blank = if index == 0 { "" } else { "\n" };
        let _ = writeln!(sample, "{blank}[[{path}]]");
        for field in &shape.fields {
            let Some(value) = item.get(&field.name) else {
                continue;
            };
            // Said once, where the key first stands.
            if !explained.contains(&&field.name) {
                sample.push_str(&comment(&field.docs));
                explained.push(&field.name);
            }
            let kind = field.kind.strip_prefix("Option<");
            let kind = kind.map_or(&*field.kind, |kind| kind.trim_end_matches('>'));
            let value = match sections.get(kind) {
                Some(section) => inline_table(section, value),
                None => value.to_string(),
            };
            let _ = writeln!(sample, "{} = {value}", field.name);
        }
    }
}

/// A table in one line, its keys in the order of the fields.
fn inline_table(section: &Section, value: &Value) -> String {
    let keys = section.fields.iter().map(|field| &field.name);
    let pairs: Vec<String> = keys.map(|key| format!("{key} = {}", value[key])).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// Wraps a text as comment lines of at most 80 characters.
fn comment(text: &str) -> String {
    let mut lines = String::from("#");
    let mut width = 1;
    for word in text.split_whitespace() {
        let length = word.chars().count() + 1;
        if width + length > 80 {
            lines.push_str("\n#");
            width = 1;
        }
        lines.push(' ');
        lines.push_str(word);
        width += length;
    }
    lines.push('\n');
    lines
}

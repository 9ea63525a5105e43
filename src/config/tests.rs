use super::*;
use figment::value::Value;
use std::{fs, time::Duration};

fn load(
    toml: &str,
    variables: &[(&str, &str)],
    flags: &[(&str, &'static str, &str)],
) -> Result<Config, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("claude-grpc.toml");
    fs::write(&path, toml).unwrap();
    let flags = flags.iter().map(|(key, flag, value)| FlagValue {
        key: (*key).to_owned(),
        flag,
        value: Value::from(*value),
    });
    let loaded = Config::load(&Sources {
        file: Some(path),
        environment: variables.iter().copied().collect(),
        flags: flags.collect(),
    });
    let here = format!("{}/", directory.path().display());
    loaded.map_err(|errors| {
        let lines = errors.0.iter();
        lines
            .map(|fault| fault.to_string().replace(&here, ""))
            .collect()
    })
}

#[test]
fn nothing_set_is_the_defaults() {
    assert_eq!(Config::load(&Sources::default()), Ok(Config::default()));
}

#[test]
fn each_layer_goes_over_the_one_below() {
    let toml = "[server]\nlisten = '127.0.0.1:1'\ndrain_timeout = '1s'\nmax_connections = 1";
    let variables = [
        ("CLAUDE_GRPC_SERVER__LISTEN", "127.0.0.1:2"),
        ("CLAUDE_GRPC_SERVER__DRAIN_TIMEOUT", "2s"),
        ("CLAUDE_GRPC_UPSTREAM__RETRY__BUDGET_RATIO", "0.5"),
        ("CLAUDE_GRPC_SERVICE__CLASSIFY__EFFORT", "high"),
        (
            "CLAUDE_GRPC_SERVER__CORS_ORIGINS",
            "https://a.example,https://b.example",
        ),
        ("CLAUDE_GRPC_UPSTREAM__API_KEY_FILE", "/some/file"),
        ("UNRELATED", "1"),
    ];
    let flags = [("server.listen", "--listen", "127.0.0.1:3")];
    let config = load(toml, &variables, &flags).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.server.drain_timeout, Duration::from_secs(2));
    assert_eq!(config.server.max_connections, 1);
    assert_eq!(config.server.cors_origins.len(), 2);
    assert_eq!(config.upstream.retry.budget_ratio, 0.5);
    assert_eq!(config.upstream.api_key_file, Some("/some/file".into()));
    assert_eq!(config.log, LogConfig::default());
}

#[test]
fn a_fault_names_its_key_and_its_place() {
    let toml = "[server]\nmax_message_bytes = 0\nlisten = '127.0.0.1:1'\n[log]\nformat = 'odd'";
    let variables = [
        ("CLAUDE_GRPC_UPSTREAM__READ_TIMEOUT", "soon"),
        ("CLAUDE_GRPC_SERVICE__GENERATE__MODEL", "no model"),
    ];
    let flags = [("server.listen", "--listen", "nowhere")];
    assert_eq!(
        load(toml, &variables, &flags).unwrap_err(),
        [
            "server.listen: invalid socket address syntax (from --listen)",
            "upstream.read_timeout: \"soon\" is not a duration \
             (from CLAUDE_GRPC_UPSTREAM__READ_TIMEOUT)",
            "log.format: must be one of pretty, json (in claude-grpc.toml)",
        ]
    );
    let toml = "[server]\nmax_message_bytes = 0\n[service]\nallowed_models = ['claude-a']";
    assert_eq!(
        load(toml, &variables[1..], &[]).unwrap_err(),
        [
            "server.max_message_bytes: must be between 1 and 4294967295 (in claude-grpc.toml)",
            "service.generate.model: invalid model id \"no model\" \
             (from CLAUDE_GRPC_SERVICE__GENERATE__MODEL)",
            "service.summarize.model: \"claude-sonnet-5-5\" must be one of service.allowed_models \
             (by default)",
            "service.classify.model: \"claude-haiku-5-5\" must be one of service.allowed_models \
             (by default)",
        ]
    );
}

#[test]
fn every_unknown_key_is_named() {
    let toml = "lisen = 1\n[server]\nlisen = 2\n[upstream.retry]\nmax = 3\n[sever]\na = 1";
    assert_eq!(
        load(toml, &[], &[]).unwrap_err(),
        ["lisen", "server.lisen", "sever", "upstream.retry.max"]
            .map(|key| format!("{key}: unknown key (in claude-grpc.toml)"))
    );
}

#[test]
fn a_key_in_the_file_is_told_where_it_belongs() {
    let faults = load("[upstream]\napi_key = 'hush'", &[], &[]).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("upstream.api_key: an API key must not be in the configuration"));
    assert!(faults[0].contains("ANTHROPIC_API_KEY_FILE"));
    assert!(!faults[0].contains("hush"));
}

#[test]
fn a_missing_file_is_an_error() {
    let sources = Sources {
        file: Some("/nowhere/claude-grpc.toml".into()),
        ..Sources::default()
    };
    let error = Config::load(&sources).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/claude-grpc.toml: failed to read the configuration file"));
}

#[test]
fn debug_shows_no_secret() {
    let variables = [
        ("CLAUDE_GRPC_SIMULATOR__API_KEYS", "hush-1,hush-2"),
        ("ANTHROPIC_API_KEY", "hush-3"),
    ];
    let config = load("", &variables, &[]).unwrap();
    assert_eq!(config.simulator.api_keys, ["hush-1", "hush-2"]);
    assert!(!format!("{config:?}").contains("hush"));
    let environment: Environment = variables.into_iter().collect();
    assert!(!format!("{environment:?}").contains("hush"));
    let wrong = [("CLAUDE_GRPC_SIMULATOR__API_KEYS", "['hush', 4711]")];
    assert_eq!(
        load("", &wrong, &[]).unwrap_err(),
        ["simulator.api_keys.1: a number is not a string (from CLAUDE_GRPC_SIMULATOR__API_KEYS)"]
    );
}

/// The dotted names of all keys.
fn keys_in(dict: &figment::value::Dict, prefix: &str, keys: &mut Vec<String>) {
    for (name, value) in dict {
        let key = format!("{prefix}{name}");
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => {
                keys_in(inner, &format!("{key}."), keys);
            }
            _ => keys.push(key),
        }
    }
}

#[test]
fn an_empty_variable_counts_as_unset_or_is_named() {
    let mut keys = Vec::new();
    keys_in(&layers::defaults(Config::default()), "", &mut keys);
    assert!(keys.len() > 100, "{keys:?}");
    let load = |key: &str, value: &str| {
        let name = layers::variable_name(key);
        let sources = Sources {
            environment: [(name.as_str(), value)].into_iter().collect(),
            ..Sources::default()
        };
        (name, Config::load(&sources))
    };
    for key in &keys {
        for empty in ["", " ", "\r"] {
            let (name, loaded) = load(key, empty);
            match loaded {
                Ok(config) => assert_eq!(config, Config::default(), "{name}"),
                Err(errors) => {
                    let expected = format!("{name}: must not be empty");
                    assert!(errors.to_string().starts_with(&expected), "{errors}");
                }
            }
        }
    }
    for key in ["access.clients_file", "server.tls.client_ca_file"] {
        assert!(load(key, "").1.is_err(), "{key}");
    }
}

#[test]
fn whitespace_around_the_value_of_a_variable_is_dropped() {
    let variables = [
        ("CLAUDE_GRPC_SERVER__LISTEN", " 127.0.0.1:2\r"),
        ("CLAUDE_GRPC_UPSTREAM__API_KEY_FILE", "/some/file\r\n"),
    ];
    let config = load("", &variables, &[]).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.upstream.api_key_file, Some("/some/file".into()));
}

#[test]
fn shared_batches_need_redis_and_a_key_and_no_file() {
    let faults = |batches: &str, store: &str| {
        let toml = format!("[batches]\nshared = true\n{batches}\n[limits]\nstore = '{store}'");
        load(&toml, &[], &[]).map_err(|errors| errors.join("\n"))
    };
    let (key, redis) = ("key_file = 'k'", "redis://a");
    assert!(faults(key, redis).unwrap().batches.shared);
    for (batches, store, problem) in [
        (key, "memory", "requires a Redis URL in limits.store"),
        ("", redis, "must be set together with batches.key_file"),
        (
            "key_file = 'k'\nstate_file = 's'",
            redis,
            "must not be combined with batches.state_file",
        ),
    ] {
        let error = faults(batches, store).unwrap_err();
        assert!(error.contains("batches.shared"), "{error}");
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_file_with_a_byte_order_mark_is_read() {
    let config = load("\u{feff}[server]\r\nmax_connections = 1\r\n", &[], &[]).unwrap();
    assert_eq!(config.server.max_connections, 1);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("claude-grpc.toml");
    fs::write(&path, b"\xff\xfe[\0s\0]\0").unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    let error = Config::load(&sources).unwrap_err().to_string();
    assert!(error.ends_with("must be UTF-8, not UTF-16"), "{error}");
}

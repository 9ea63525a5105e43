//! `claude-grpc clients`: manages the clients file.

use super::{
    exit::{Exit, Failure, with_causes},
    output,
    settings::CommonFlags,
};
use crate::{
    access::{self, Added, ClientEntry, ClientLimits, ClientsError, NewClient, PriorityName},
    config::Environment,
    secrets::Keyring,
};
use clap::ValueEnum;
use secrecy::ExposeSecret;
use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// The subcommands of `clients`.
#[derive(Debug, clap::Subcommand)]
pub enum ClientsCommand {
    /// Add a client and print its key. The key cannot be shown again.
    Add(Box<Add>),
    /// List the clients and the ids of their keys.
    List(FileFlags),
    /// Remove a client with all its keys, or a single key.
    Revoke(Revoke),
    /// Add a new key to a client and print it. The old key remains valid for
    /// --overlap.
    Rotate(RotateKey),
}

/// The flags that select the clients file.
#[derive(Debug, clap::Args)]
pub struct FileFlags {
    #[command(flatten)]
    common: CommonFlags,
    /// Clients file; overrides access.clients_file of the configuration.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Flags of `clients add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// Name of the client: letters, digits and `-._`.
    name: String,
    #[command(flatten)]
    file: FileFlags,
    /// Tenant that its usage is attributed to; defaults to the name.
    #[arg(long)]
    tenant: Option<String>,
    /// Weight of its tenant while calls must wait for their turn, 1 to 1000. All
    /// clients of a tenant have the same. Default: 1.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    weight: Option<u32>,
    /// RPC that the client may call, such as `Generate`; repeat for more. Without
    /// it, all RPCs.
    #[arg(long = "method", value_name = "RPC")]
    methods: Vec<String>,
    /// Model that the client may use; repeat for more. Without it, all models.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// Host of Claude that may serve its calls (a name in upstream.hosts); repeat for
    /// more. Without it, all hosts.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Beta that its calls may name, of those in service.passthrough.betas; repeat for
    /// more. Without it, all of them.
    #[arg(long = "beta", value_name = "BETA")]
    betas: Vec<String>,
    /// Maximum priority of its calls.
    #[arg(long, value_enum, default_value = "interactive")]
    priority: PriorityFlag,
    /// Time at which its access expires, such as `2027-01-01T00:00:00Z`;
    /// without an offset in UTC.
    #[arg(long, value_name = "TIME", value_parser = future_time)]
    expires: Option<SystemTime>,
    /// Name in TLS client certificates that identifies the client; repeat for
    /// more.
    #[arg(long = "certificate", value_name = "NAME")]
    certificates: Vec<String>,
    /// Maximum calls per minute.
    #[arg(long, value_name = "NUMBER")]
    requests_per_minute: Option<u64>,
    /// Maximum input tokens per minute.
    #[arg(long, value_name = "NUMBER")]
    input_tokens_per_minute: Option<u64>,
    /// Maximum output tokens per minute.
    #[arg(long, value_name = "NUMBER")]
    output_tokens_per_minute: Option<u64>,
    /// Maximum number of concurrent calls.
    #[arg(long, value_name = "NUMBER")]
    calls_in_flight: Option<u64>,
    /// Maximum tokens per day (UTC).
    #[arg(long, value_name = "NUMBER")]
    tokens_per_day: Option<u64>,
    /// Maximum tokens per calendar month (UTC).
    #[arg(long, value_name = "NUMBER")]
    tokens_per_month: Option<u64>,
    /// Maximum cost per day (UTC), in US dollars.
    #[arg(long, value_name = "AMOUNT")]
    dollars_per_day: Option<f64>,
    /// Maximum cost per calendar month (UTC), in US dollars.
    #[arg(long, value_name = "AMOUNT")]
    dollars_per_month: Option<f64>,
}

/// Flags of `clients revoke`.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// Name of the client to remove, with all its keys.
    #[arg(required_unless_present = "key", conflicts_with = "key")]
    name: Option<String>,
    /// Id of a single key to remove.
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    #[command(flatten)]
    file: FileFlags,
}

/// Flags of `clients rotate`.
#[derive(Debug, clap::Args)]
pub struct RotateKey {
    /// Name of the client.
    name: String,
    /// Generate a signing key, for signed requests, instead of a client key.
    #[arg(long)]
    signing: bool,
    /// Time for which the old key remains valid.
    #[arg(long, value_name = "TIME", default_value = "7days", value_parser = humantime::parse_duration)]
    overlap: Duration,
    #[command(flatten)]
    file: FileFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PriorityFlag {
    Batch,
    Interactive,
}

/// The clients file, with the keys to decrypt it if it is encrypted.
struct Opened {
    path: PathBuf,
    keys: Option<Keyring>,
}

impl FileFlags {
    fn open(&self) -> Result<Opened, Failure> {
        let environment = Environment::of_process();
        let config = self.common.load(self.common.values(), &environment)?;
        let path = self.file.clone().or(config.access.clients_file);
        let path = path.ok_or_else(|| {
            Failure::usage("no clients file: pass --file or set access.clients_file")
        })?;
        let keys = config.secrets.key_file.as_deref().map(Keyring::read);
        let keys = keys
            .transpose()
            .map_err(|error| Failure::usage(with_causes(&error)))?;
        Ok(Opened { path, keys })
    }
}

/// Runs a subcommand of `clients`.
///
/// # Errors
/// [`Exit::Usage`] when the file cannot be read or changed.
pub fn run(command: ClientsCommand) -> Result<(), Failure> {
    match command {
        ClientsCommand::Add(args) => add(*args),
        ClientsCommand::List(args) => list(&args),
        ClientsCommand::Revoke(args) => revoke(&args),
        ClientsCommand::Rotate(args) => rotate(&args),
    }
}

/// A time at which access may expire: that of a new client is in the future.
fn future_time(text: &str) -> Result<SystemTime, String> {
    let time = access::parse_time(text)?;
    match time > SystemTime::now() {
        true => Ok(time),
        false => Err("must be in the future".to_owned()),
    }
}

fn add(args: Add) -> Result<(), Failure> {
    let file = args.file.open()?;
    let new = NewClient {
        name: args.name,
        tenant: args.tenant,
        weight: args.weight,
        methods: args.methods,
        models: args.models,
        hosts: args.hosts,
        betas: args.betas,
        priority: match args.priority {
            PriorityFlag::Batch => PriorityName::Batch,
            PriorityFlag::Interactive => PriorityName::Interactive,
        },
        expires: args.expires,
        certificates: args.certificates,
        limits: ClientLimits {
            requests_per_minute: args.requests_per_minute,
            input_tokens_per_minute: args.input_tokens_per_minute,
            output_tokens_per_minute: args.output_tokens_per_minute,
            calls_in_flight: args.calls_in_flight,
            tokens_per_day: args.tokens_per_day,
            tokens_per_month: args.tokens_per_month,
            dollars_per_day: args.dollars_per_day,
            dollars_per_month: args.dollars_per_month,
        },
    };
    show(&access::add(&file.path, file.keys.as_ref(), new).map_err(failed)?)
}

fn list(args: &FileFlags) -> Result<(), Failure> {
    let file = args.open()?;
    let clients = access::list(&file.path, file.keys.as_ref()).map_err(failed)?;
    clients
        .iter()
        .try_for_each(|client| output::line(&described(client)))
}

fn revoke(args: &Revoke) -> Result<(), Failure> {
    let file = args.file.open()?;
    let keys = file.keys.as_ref();
    match (&args.name, &args.key) {
        (Some(name), _) => access::revoke(&file.path, keys, name),
        (None, Some(id)) => access::revoke_key(&file.path, keys, id),
        (None, None) => Ok(()),
    }
    .map_err(failed)
}

fn rotate(args: &RotateKey) -> Result<(), Failure> {
    let file = args.file.open()?;
    let rotate = if args.signing {
        access::add_signing_key
    } else {
        access::rotate
    };
    let keys = file.keys.as_ref();
    let rotated = rotate(
        &file.path,
        keys,
        &args.name,
        args.overlap,
        SystemTime::now(),
    );
    show(&rotated.map_err(failed)?)
}

/// Prints a new key. Nothing else goes to standard output, so that a script can
/// capture the key.
fn show(added: &Added) -> Result<(), Failure> {
    output::line(added.secret.expose_secret())?;
    eprintln!("created key {}; it cannot be shown again", added.id);
    Ok(())
}

fn described(client: &ClientEntry) -> String {
    let tenant = client.tenant();
    let until = |end: Option<SystemTime>| match end {
        Some(end) => format!(" until {:.0}", access::moment(end)),
        None => String::new(),
    };
    let mut text = format!("{}{}, tenant {tenant}", client.name, until(client.expires));
    if let Some(weight) = client.weight {
        text += &format!(", weight {weight}");
    }
    for key in &client.keys {
        text += &format!("\n  key {}{}", key.id, until(key.not_after));
    }
    for key in &client.signing_keys {
        text += &format!("\n  signing key {}{}", key.id, until(key.not_after));
    }
    for name in &client.certificates {
        text += &format!("\n  certificate {name}");
    }
    text
}

fn failed(error: ClientsError) -> Failure {
    Failure::new(Exit::Usage, with_causes(&error))
}

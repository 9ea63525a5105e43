//! The counts as they are kept in the repository.

use std::{collections::BTreeMap, fmt::Write, fs, process::Command};
use toml::{Table, Value};

/// The file, from the top of the repository, where cargo runs benchmarks.
pub const PATH: &str = "benches/cost/costs.toml";

const HEAD: &str = "\
# What one call costs: counts of the service and of the two floors, measured
# and written by `cargo bench --bench cost -- write`. The commit that raises one
# by more than 3 % must name it in its message:
#
#   Cost: service.generate.instructions 190900 -> 197000, buys <what>

";

/// The share by which a count may differ from the stored one.
pub const TOLERANCE: f64 = 0.03;

/// What a count may differ by besides. The runtime reads the clock at each
/// wake-up, and how many wake-ups a call takes depends on how its bytes arrive;
/// timers fire now and then.
fn slack(name: &str) -> f64 {
    match name.rsplit_once('.') {
        Some((row, "clock_reads")) if row.ends_with("_event") => 0.5,
        Some((_, "clock_reads")) => 2.0,
        _ => 0.1,
    }
}

/// Whether a count is compared with the stored one. The clock reads of a floor
/// are shown only: nearly all are wake-ups, and vary by a fifth between runs.
fn is_compared(name: &str) -> bool {
    !(name.starts_with("floor_") && name.ends_with(".clock_reads"))
}

/// Counts by name, for example `service.generate.instructions`.
#[derive(Debug, Default)]
pub struct Costs {
    /// What `rustc -V` prints.
    pub compiler: String,
    /// Instructions can be compared only on the same one.
    pub architecture: String,
    pub counts: BTreeMap<String, f64>,
}

impl Costs {
    /// No counts yet, from this compiler on this machine.
    pub fn here() -> Costs {
        let version = Command::new("rustc").arg("-V").output();
        let version = version.expect("rustc runs").stdout;
        Costs {
            compiler: String::from_utf8_lossy(&version).trim().to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            counts: BTreeMap::new(),
        }
    }

    pub fn read() -> Result<Costs, String> {
        let text =
            fs::read_to_string(PATH).map_err(|error| format!("failed to read {PATH}: {error}"))?;
        Costs::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Costs, String> {
        let mut table: Table = text
            .parse()
            .map_err(|error| format!("failed to parse {PATH}: {error}"))?;
        let mut text = |key: &str| match table.remove(key) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(format!("{PATH}: {key} must be a string")),
        };
        let (compiler, architecture) = (text("compiler")?, text("architecture")?);
        let mut counts = BTreeMap::new();
        flatten(String::new(), table, &mut counts)?;
        Ok(Costs {
            compiler,
            architecture,
            counts,
        })
    }

    pub fn to_text(&self) -> String {
        let mut text = HEAD.to_owned();
        let _ = writeln!(text, "compiler = {:?}", self.compiler);
        let _ = writeln!(text, "architecture = {:?}", self.architecture);
        let mut section = "";
        for (name, count) in &self.counts {
            let (table, key) = name.rsplit_once('.').expect("a name of three parts");
            if table != section {
                let _ = writeln!(text, "\n[{table}]");
                section = table;
            }
            let _ = writeln!(text, "{key} = {}", figure(*count));
        }
        text
    }
}

fn flatten(prefix: String, table: Table, counts: &mut BTreeMap<String, f64>) -> Result<(), String> {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(table) => flatten(format!("{name}."), table, counts)?,
            Value::Integer(count) => drop(counts.insert(name, count as f64)),
            Value::Float(count) => drop(counts.insert(name, count)),
            _ => return Err(format!("{PATH}: {name} must be a number")),
        }
    }
    Ok(())
}

/// Whole where a hundredth means nothing.
pub fn figure(count: f64) -> String {
    if count >= 1000.0 {
        format!("{count:.0}")
    } else {
        format!("{count:.2}")
    }
}

/// Whether a count is above another of the same name by more than may be.
pub fn is_above(name: &str, count: f64, other: f64) -> bool {
    is_compared(name) && count > other * (1.0 + TOLERANCE) + slack(name)
}

/// Whether a count is below another of the same name by more than may be.
pub fn is_below(name: &str, count: f64, other: f64) -> bool {
    is_compared(name) && count < other * (1.0 - TOLERANCE) - slack(name)
}

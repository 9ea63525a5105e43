//! Reads a document as the client commands do: by the process that they start.

use serde_json::Value;
use std::{
    collections::HashMap,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

/// What the process makes of a document: its text and what it says of it, or the reason why
/// it is refused.
pub fn read(path: &Path) -> Result<(String, Value), String> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
        .args(["read-document", &format!("--name={name}")])
        .stdin(File::open(path).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let outcome: Value = match said.lines().last() {
        Some(line) => serde_json::from_str(line).map_err(|_| said.clone())?,
        None => return Err(format!("{:?}", output.status)),
    };
    match outcome["unreadable"].as_str() {
        Some(reason) => Err(reason.to_owned()),
        None => Ok((
            String::from_utf8(output.stdout).unwrap(),
            outcome["read"].clone(),
        )),
    }
}

/// What a program prints; `None` if it is not installed.
pub fn printed(program: &str, arguments: &[&str], input: &Path) -> Option<String> {
    let input = Stdio::from(File::open(input).unwrap());
    let command = Command::new(program)
        .args(arguments)
        .stdin(input)
        .stderr(Stdio::null())
        .output();
    match command {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(_) => {
            println!("skipped: {program} is not installed");
            None
        }
    }
}

/// How much of the words of `expected` are in `text`, and the reverse.
pub fn shared(text: &str, expected: &str) -> (f64, f64) {
    let (text, expected) = (counts(text), counts(expected));
    let common: usize = expected
        .iter()
        .map(|(word, count)| text.get(word).copied().unwrap_or(0).min(*count))
        .sum();
    let part =
        |of: &HashMap<String, usize>| common as f64 / of.values().sum::<usize>().max(1) as f64;
    (part(&expected), part(&text))
}

fn counts(text: &str) -> HashMap<String, usize> {
    let text = text
        .replace('\u{ad}', "")
        .replace(['\u{2010}', '\u{2212}'], "-");
    let mut counts = HashMap::new();
    for word in text
        .split(|it: char| !it.is_alphanumeric())
        .filter(|it| !it.is_empty())
    {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

/// The first files below a folder whose names end so, by their names, and whose size is in
/// this range.
pub fn files(
    folder: &str,
    end: &str,
    sizes: std::ops::Range<u64>,
    number: usize,
) -> Vec<std::path::PathBuf> {
    let mut folders = vec![folder.into()];
    let mut found: Vec<std::path::PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir::<&std::path::PathBuf>(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file()
                && sizes.contains(&metadata.len())
                && path.to_string_lossy().ends_with(end)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.len() < number {
        println!("skipped: {folder} has {} files *{end}", found.len());
    }
    // Of all the folder, not of its first package.
    let step = (found.len() / number.max(1)).max(1);
    found.into_iter().step_by(step).take(number).collect()
}

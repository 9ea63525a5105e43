use super::*;
use clap::Parser;
use std::os::unix::{fs::symlink, net::UnixListener};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    inputs: InputFlags,
}

/// The names of the documents below a folder, in braces if one cannot be read.
fn names(folder: &Path, arguments: &[&str]) -> Result<Vec<String>, Failure> {
    let arguments = arguments
        .iter()
        .map(|it| it.replace("DIR", folder.to_str().unwrap()));
    let command = Command::parse_from(std::iter::once("test".to_owned()).chain(arguments));
    let written = WrittenFiles::of([folder.join("sub/../out.jsonl")]);
    let inputs = command.inputs.all(written)?;
    let prefix = format!("{}/", folder.display());
    let name = |input: &Input| {
        let name = input.source.name();
        let name = name.strip_prefix(&prefix).unwrap_or(&name);
        match &input.problem {
            Some(_) => format!("({name})"),
            None => name.to_owned(),
        }
    };
    Ok(inputs.iter().map(name).collect())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for file in [
        "b.md",
        "a.md",
        "sub/c.md",
        "sub/d.txt",
        ".git/config",
        "out.jsonl",
        "x[1].md",
    ] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), file).unwrap();
    }
    fs::write(root.join(".gitignore"), "d.txt\n").unwrap();
    symlink(root, root.join("sub/loop")).unwrap();
    symlink(root.join("a.md"), root.join("sub/link.md")).unwrap();
    symlink("nowhere", root.join("sub/z")).unwrap();
    UnixListener::bind(root.join("sub/socket")).unwrap();
    folder
}

#[test]
fn a_folder_is_walked_in_the_order_of_paths() {
    let folder = folder();
    let all = ["a.md", "b.md", "sub/c.md", "sub/d.txt", "sub/link.md"];
    let named = names(folder.path(), &["DIR"]).unwrap();
    assert_eq!(named[..5], all);
    assert_eq!(named[5..], ["(sub/z)", "x[1].md"]);
    let kept = names(folder.path(), &["--respect-ignore-files", "DIR/sub"]).unwrap();
    assert_eq!(kept, ["sub/c.md", "(sub/link.md)", "(sub/z)"]);
    let hidden = names(folder.path(), &["--hidden", "DIR"]).unwrap();
    assert_eq!(hidden[..2], [".git/config", ".gitignore"]);
}

#[test]
fn a_link_that_leads_out_of_the_folder_is_not_read() {
    let folder = folder();
    let sub = |flags: &[&str]| {
        let walked = names(folder.path(), &[flags, &["DIR/sub"]].concat()).unwrap();
        let matched = names(folder.path(), &[flags, &["DIR/sub/*.md"]].concat()).unwrap();
        (walked[2].clone(), matched[1].clone())
    };
    let read = ("sub/link.md".to_owned(), "sub/link.md".to_owned());
    let not_read = ("(sub/link.md)".to_owned(), "(sub/link.md)".to_owned());
    assert_eq!(sub(&[]), not_read);
    assert_eq!(sub(&["--follow-links"]), read);
    let list = folder.path().join("list");
    fs::write(
        &list,
        folder
            .path()
            .join("sub/link.md")
            .as_os_str()
            .as_encoded_bytes(),
    )
    .unwrap();
    let listed = |flags: &[&str]| {
        let list = ["--files-from", list.to_str().unwrap()];
        names(folder.path(), &[flags, &list].concat()).unwrap()
    };
    assert_eq!(listed(&[]), ["(sub/link.md)"]);
    assert_eq!(listed(&["--follow-links"]), ["sub/link.md"]);
    // What is named is read.
    assert_eq!(
        names(folder.path(), &["DIR/sub/link.md"]).unwrap(),
        ["sub/link.md"]
    );
}

#[test]
fn a_path_with_wildcards_is_a_glob_unless_it_exists() {
    let folder = folder();
    let glob = |text| names(folder.path(), &[text]);
    assert_eq!(glob("DIR/*.md").unwrap(), ["a.md", "b.md", "x[1].md"]);
    assert_eq!(glob("DIR/**/c.*").unwrap(), ["sub/c.md"]);
    assert_eq!(glob("DIR/x[1].md").unwrap(), ["x[1].md"]);
    assert_eq!(glob("DIR/{a,b}.md").unwrap(), ["a.md", "b.md"]);
    assert_eq!(
        glob("DIR//sub/.//*.md").unwrap(),
        ["sub/c.md", "(sub/link.md)"]
    );
    let gone = glob("DIR/gone/*.md").unwrap_err();
    assert!(format!("{gone:?}").contains("matches no file"), "{gone:?}");
    assert!(glob("DIR/*.pdf").is_err());
    assert!(glob("DIR/[.md").is_err());
}

#[test]
fn what_is_named_is_read_once_and_in_that_order() {
    let folder = folder();
    let named = |arguments: &[&str]| names(folder.path(), arguments);
    let twice = ["DIR/sub/d.txt", "DIR/a.md", "DIR/*.md", "DIR/gone"];
    assert_eq!(
        named(&twice).unwrap(),
        ["sub/d.txt", "a.md", "b.md", "x[1].md", "(gone)"]
    );
    assert_eq!(named(&["DIR/sub/socket"]).unwrap(), ["(sub/socket)"]);
    let spelled = ["DIR/a.md", "DIR/./a.md", "DIR//a.md"];
    assert_eq!(named(&spelled).unwrap(), ["a.md"]);
    assert!(named(&["DIR/out.jsonl"]).is_err(), "what is written");
    assert_eq!(named(&["DIR/out.jsonl", "DIR/a.md"]).unwrap(), ["a.md"]);
    assert_eq!(named(&[]).unwrap(), ["-"]);
    assert!(named(&["-", "-"]).is_err());
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(named(&["DIR/empty"]).is_err());
}

#[test]
fn a_list_has_a_path_per_line_or_nul() {
    let folder = folder();
    let (lines, nuls) = (folder.path().join("lines"), folder.path().join("nuls"));
    fs::write(&lines, "/1 2\r\n\n/3\n").unwrap();
    fs::write(&nuls, b"/1\n2\0/[a-z]\0/\xff\0").unwrap();
    let from = |list: &Path| names(folder.path(), &["--files-from", list.to_str().unwrap()]);
    assert_eq!(from(&lines).unwrap(), ["(/1 2)", "(/3)"]);
    assert_eq!(from(&nuls).unwrap(), ["(/1\n2)", "(/[a-z])", "(/\\xff)"]);
    assert!(from(Path::new("/gone")).is_err());
}

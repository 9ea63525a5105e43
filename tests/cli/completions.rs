//! Completions and man pages.

use super::*;

/// The commands of `help`, in their order.
fn commands() -> Vec<String> {
    let help = run(&["--help"]).succeeded().stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn each_shell_has_completions_of_each_command() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).succeeded().stdout;
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell}: {command}");
        }
        assert!(script.contains("templates-dir"), "{shell}");
    }
    run(&["completions", "cmd.exe"]).failed(2);
}

#[test]
fn bash_completes_a_flag() {
    let script = run(&["completions", "bash"]).succeeded().stdout;
    let files = Files::new(&[("claude-grpc", script.as_bytes())]);
    let test = format!(
        "set -e; source {}; complete -p claude-grpc >&2
         COMP_WORDS=(claude-grpc generate --templ) COMP_CWORD=2
         _claude__grpc claude-grpc --templ generate
         echo \"${{COMPREPLY[@]}}\"",
        files.path("claude-grpc")
    );
    let bash = Command::new("bash")
        .args(["--norc", "-c", &test])
        .output()
        .unwrap();
    let ended = Ended::from(bash).failed(0);
    assert_eq!(ended.stdout, "--template --templates-dir\n", "{ended:?}");
}

#[test]
fn each_command_has_a_man_page() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("man1");
    run(&["man", "--out", out.to_str().unwrap()]).succeeded();
    for command in commands() {
        let page = fs::read_to_string(out.join(format!("claude-grpc-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
    for page in ["claude-grpc.1", "claude-grpc-config-check.1"] {
        assert!(out.join(page).exists(), "{page}");
    }
    let printed = run(&["man"]).succeeded().stdout;
    let written = fs::read_to_string(out.join("claude-grpc.1")).unwrap();
    assert_eq!(printed, written);
    assert!(printed.starts_with(".ie"), "{printed}");

    let file = Files::new(&[("file", b"")]);
    let refused = run(&["man", "--out", &file.path("file")]).failed(1);
    assert!(refused.reason().contains("failed to write"), "{refused:?}");
}

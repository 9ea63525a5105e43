//! What is measured: the service and the floors, each a process of its own.

use super::ROLE;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Linux counts CPU time in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A program under measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The service with all its defaults.
    Service,
    /// The floor on hyper's client.
    FloorHyper,
    /// The floor on reqwest.
    FloorReqwest,
}

impl Subject {
    pub const ALL: [Subject; 3] = [Subject::Service, Subject::FloorHyper, Subject::FloorReqwest];

    pub fn name(self) -> &'static str {
        match self {
            Subject::Service => "service",
            Subject::FloorHyper => "floor_hyper",
            Subject::FloorReqwest => "floor_reqwest",
        }
    }

    /// The command that starts it in front of an upstream.
    pub fn command(self, upstream: SocketAddr) -> Command {
        match self {
            Subject::Service => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_claude-grpc"));
                command
                    .args(["serve", "--listen", "127.0.0.1:0", "--upstream-url"])
                    .arg(format!("http://{upstream}"))
                    .env("ANTHROPIC_API_KEY", "sk-load-test")
                    // Not its fixed port: several may run side by side.
                    .env("CLAUDE_GRPC_ADMIN__LISTEN", "127.0.0.1:0");
                command
            }
            Subject::FloorHyper => floor("hyper", upstream),
            Subject::FloorReqwest => floor("reqwest", upstream),
        }
    }
}

fn floor(client: &str, upstream: SocketAddr) -> Command {
    let this = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(this);
    command.args([ROLE, client, &upstream.to_string()]);
    command
}

/// A running process, killed when it is dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    /// Starts a program that prints the address on which it listens at the end
    /// of a line.
    pub fn start(mut command: Command) -> Process {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next().expect("a line").expect("text");
        let address = line.rsplit(' ').next().and_then(|it| it.parse().ok());
        Process {
            child,
            address: address.expect("an address at the end of the line"),
        }
    }

    /// CPU time used so far, of all threads, in user and in kernel mode.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("it still runs");
        // The name, in brackets, may hold blanks; the figures come after it.
        let (_, figures) = stat.rsplit_once(')').expect("the form of proc(5)");
        let figure = |field: usize| {
            // Field 3 is the first after the name.
            let text = figures.split_whitespace().nth(field - 3);
            text.and_then(|it| it.parse::<u32>().ok())
                .expect("a figure")
        };
        let (utime, stime) = (figure(14), figure(15));
        TICK * (utime + stime)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.is_ok_and(|it| it.success()), "failed to end a process");
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

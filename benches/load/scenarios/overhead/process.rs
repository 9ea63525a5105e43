//! A process under measurement.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Linux counts CPU time in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A child that says on a line of stdout which address it listens on.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    /// The bare forwarder: this very program in its other role.
    pub fn forwarder(upstream: SocketAddr) -> Process {
        let this = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(this);
        command.arg("--forwarder").arg(upstream.to_string());
        Process::start(command)
    }

    /// The service with all its defaults.
    pub fn service(upstream: SocketAddr) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-grpc"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--upstream-url"])
            .arg(format!("http://{upstream}"))
            .env("ANTHROPIC_API_KEY", "sk-load-test");
        Process::start(command)
    }

    fn start(mut command: Command) -> Process {
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
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

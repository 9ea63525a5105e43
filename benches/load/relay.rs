//! The way to a host, which can be taken away: new connections are refused, or all
//! packets of it swallowed.

use std::{net::SocketAddr, process::Command};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How a host is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// It closes its connections and refuses new ones.
    Refusing,
    /// No packet arrives, and nothing says so.
    Swallowing,
}

/// Passes connections on to a host.
pub struct Relay {
    pub address: SocketAddr,
    host: SocketAddr,
    connections: JoinSet<()>,
    swallows: bool,
}

impl Relay {
    pub async fn to(host: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let mut relay = Relay {
            address,
            host,
            connections: JoinSet::new(),
            swallows: false,
        };
        relay.serve(listener);
        relay
    }

    fn serve(&mut self, listener: TcpListener) {
        let host = self.host;
        self.connections.spawn(async move {
            // Dropped with the task, and so are its connections.
            let mut passed = JoinSet::new();
            while let Ok((mut caller, _)) = listener.accept().await {
                let _ = caller.set_nodelay(true);
                passed.spawn(async move {
                    if let Ok(mut there) = TcpStream::connect(host).await {
                        let _ = there.set_nodelay(true);
                        let _ = copy_bidirectional(&mut caller, &mut there).await;
                    }
                });
            }
        });
    }

    /// Takes the host away; `false` if this machine cannot do that.
    pub async fn go(&mut self, away: Away) -> bool {
        match away {
            Away::Refusing => {
                self.connections.shutdown().await;
                true
            }
            Away::Swallowing => {
                self.swallows = self.filter("-I");
                self.swallows
            }
        }
    }

    /// Brings it back.
    pub async fn come_back(&mut self, away: Away) {
        match away {
            Away::Refusing => {
                let listener = TcpListener::bind(self.address).await;
                self.serve(listener.expect("its own port"));
            }
            Away::Swallowing => {
                self.filter("-D");
                self.swallows = false;
            }
        }
    }

    /// Adds or removes the rule that drops all packets to the port.
    fn filter(&self, operation: &str) -> bool {
        let port = self.address.port().to_string();
        let rule = ["INPUT", "-p", "tcp", "--dport", &port, "-j", "DROP"];
        let status = Command::new("iptables").arg(operation).args(rule).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.swallows {
            self.filter("-D");
        }
    }
}

//! Opens the ports that are listened on.

use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Maximum number of connections that wait to be accepted: the default limit of Linux
/// (`net.core.somaxconn`), which is that of the library (128) otherwise. Beyond it, the
/// kernel drops what clients send, so that they connect a second later, or hold a
/// connection that the service never sees.
const MAX_WAITING: u32 = 4096;

/// Listens on an address.
///
/// # Errors
/// When it cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As a service that restarts must.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(MAX_WAITING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};
    use std::time::Duration;

    #[tokio::test]
    async fn hundreds_of_connections_wait_to_be_accepted() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        // The kernel holds back the first one too many for a second.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(500));
        let waiting: Result<Vec<TcpStream>, _> = (0..300).map(connect).collect();
        let first = waiting.unwrap()[0].local_addr().unwrap();
        assert_eq!(listener.accept().await.unwrap().1, first);
    }
}

//! A connection, whatever is below it: TCP, TLS, a tunnel.

use tokio::io::{AsyncRead, AsyncWrite};

/// What bytes are read from and written to.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection over which HTTP is spoken.
pub type ByteStream = Box<dyn Duplex>;

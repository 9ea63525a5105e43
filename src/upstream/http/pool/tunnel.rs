//! Opens a tunnel to the API through an HTTP proxy: `CONNECT` (RFC 9110, 9.3.6).
//!
//! `hyper-util` can do this too, but of a proxy that rejects the request it
//! keeps only whether the status is 407. An operator needs the others as well:
//! 403 is a rule of the proxy, 502 and 504 are its way to the API.

use super::byte_stream::ByteStream;
use crate::upstream::ConnectFailure;
use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Maximum size of the head of the proxy's response, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Maximum number of headers of the proxy's response.
const MAX_HEADERS: usize = 100;

/// Asks for a tunnel to `authority`, which is a host and a port.
///
/// # Errors
/// [`ConnectFailure::ProxyRejected`] with the status of a proxy that says no,
/// otherwise [`ConnectFailure::ProxyTunnel`].
pub async fn open_tunnel(
    io: &mut ByteStream,
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), ConnectFailure> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let failed = |_| ConnectFailure::ProxyTunnel;
    io.write_all(&request).await.map_err(failed)?;
    io.flush().await.map_err(failed)?;
    let mut head = Vec::new();
    loop {
        // What follows the head would be of the API, which does not speak first.
        if io.read_buf(&mut head).await.map_err(failed)? == 0 {
            return Err(ConnectFailure::ProxyTunnel);
        }
        match status(&head)? {
            Some(200..=299) => return Ok(()),
            Some(status) => return Err(ConnectFailure::ProxyRejected(status)),
            None if head.len() < MAX_HEAD => {}
            None => return Err(ConnectFailure::ProxyTunnel),
        }
    }
}

/// The status of a response; `None` while its head is not complete.
fn status(head: &[u8]) -> Result<Option<u16>, ConnectFailure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => Ok(response.code),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(ConnectFailure::ProxyTunnel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    /// The outcome, and what the proxy was sent.
    async fn asked(
        answer: &'static [u8],
        authorization: Option<&HeaderValue>,
    ) -> (Result<(), ConnectFailure>, String) {
        let (near, mut far) = duplex(64 * 1024);
        let mut near: ByteStream = Box::new(near);
        let proxy = tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                far.read_buf(&mut request).await.unwrap();
            }
            // Byte by byte, as a slow network would.
            for byte in answer {
                let _ = far.write_all(&[*byte]).await;
                tokio::task::yield_now().await;
            }
            String::from_utf8(request).unwrap()
        });
        let outcome = open_tunnel(&mut near, "api.example.com:443", authorization).await;
        drop(near);
        (outcome, proxy.await.unwrap())
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_and_opened() {
        let (outcome, request) = asked(b"HTTP/1.1 200 Connection established\r\n\r\n", None).await;
        assert_eq!(outcome, Ok(()));
        let expected = "CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com:443\r\n\r\n";
        assert_eq!(request, expected);
        let authorization = HeaderValue::from_static("Basic bWU6aHVzaA==");
        let answer = b"HTTP/1.0 200 OK\r\nVia: 1.1 proxy\r\n\r\n";
        let (outcome, request) = asked(answer, Some(&authorization)).await;
        assert_eq!(outcome, Ok(()));
        assert!(request.ends_with("proxy-authorization: Basic bWU6aHVzaA==\r\n\r\n"));
    }

    #[tokio::test]
    async fn the_status_of_a_proxy_that_says_no_is_kept() {
        for (answer, status) in [
            (
                &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..],
                407,
            ),
            (
                b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
                403,
            ),
            (b"HTTP/1.1 503 \r\n\r\n", 503),
            (b"HTTP/1.1 301 Moved\r\nlocation: /\r\n\r\n", 301),
        ] {
            let (outcome, _) = asked(answer, None).await;
            assert_eq!(outcome, Err(ConnectFailure::ProxyRejected(status)));
        }
    }

    #[tokio::test]
    async fn what_is_not_a_response_opens_no_tunnel() {
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x15\x03\x01\x00\x02\x02\x16",
            &[b'H'; 20_000],
        ] {
            let (outcome, _) = asked(answer, None).await;
            assert_eq!(outcome, Err(ConnectFailure::ProxyTunnel));
        }
    }
}

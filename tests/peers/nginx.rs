//! nginx in front of the API: another HTTP/2, and other ways to end it.

use crate::{
    api::Api,
    certificates::{self, Ca},
};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running nginx, which ends when it is dropped.
pub struct Nginx {
    pub url: String,
    pub ca_file: PathBuf,
    _files: TempDir,
    child: Child,
}

impl Nginx {
    /// Passes requests to an API. It allows so many streams on a connection,
    /// which it drains after so many requests.
    pub fn start(api: &Api, streams: usize, requests: usize) -> Nginx {
        let files = tempfile::tempdir().unwrap();
        let folder = files.path().to_str().unwrap();
        let ca = Ca::new();
        certificates::write(files.path(), &ca.server(), Some(&ca));
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let url = api.url();
        let config = format!(
            "daemon off; master_process off; pid {folder}/pid; error_log stderr;
            events {{ worker_connections 2000; }}
            http {{
                access_log off;
                client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/proxied;
                fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
                scgi_temp_path {folder}/scgi;
                http2_max_concurrent_streams {streams};
                keepalive_requests {requests};
                server {{
                    listen {address} ssl http2 backlog=1024;
                    ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key;
                    location / {{ proxy_pass {url}; proxy_http_version 1.1; }}
                }}
            }}"
        );
        let file = files.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "nginx does not listen");
            sleep(Duration::from_millis(10));
        }
        Nginx {
            url: format!("https://{address}"),
            ca_file: files.path().join("ca.crt"),
            _files: files,
            child,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

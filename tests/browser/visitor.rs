//! A person with a browser, and a web page on another origin than the service.

use crate::{
    certificates::{Ca, Signed},
    webdriver::Browser,
};
use axum::{
    Router,
    extract::Path,
    response::{Html, Redirect},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{fs, path, process::Command};
use tokio::{net::TcpListener, task::JoinHandle};

const EMPTY: Html<&str> = Html("<!doctype html><title>a page</title>");

/// A browser that trusts a service, and has a client certificate of its user.
pub struct Visitor {
    browser: Browser,
    /// Where the certificates are while the browser runs.
    _home: tempfile::TempDir,
}

impl Visitor {
    /// With a certificate that the browser presents without asking, as a company
    /// configures it.
    pub async fn with_certificate(ca: &Ca, certificate: &Signed) -> Visitor {
        let home = tempfile::tempdir().unwrap();
        import(home.path(), ca, certificate);
        let any = json!({ "pattern": "*", "filter": {} }).to_string();
        let preferences = json!({ "profile.managed_auto_select_certificate_for_urls": [any] });
        let browser = Browser::of_user(home.path(), preferences).await;
        Visitor {
            browser,
            _home: home,
        }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.browser.open(url).await;
    }

    /// Runs a script in the open page. Its last argument is the function that takes
    /// its result.
    pub async fn run(&self, script: &str, arguments: &[&str]) -> Value {
        let script = json!({ "script": script, "args": arguments });
        self.browser.post("/execute/async", &script).await
    }
}

/// Puts the certificates where Chromium looks for them.
fn import(home: &path::Path, ca: &Ca, user: &Signed) {
    let database = home.join(".pki/nssdb");
    fs::create_dir_all(&database).unwrap();
    let write = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ca = write("ca.crt", &ca.pem());
    let (cert, key) = (write("user.crt", &user.cert), write("user.key", &user.key));
    let bundle = write("user.p12", "");
    let database = format!("sql:{}", database.display());
    run(&format!("certutil -N -d {database} --empty-password"));
    run(&format!(
        "certutil -A -d {database} -n ca -t C,, -a -i {ca}"
    ));
    run(&format!(
        "openssl pkcs12 -export -in {cert} -inkey {key} -name user -passout pass:x -out {bundle}"
    ));
    run(&format!("pk12util -d {database} -i {bundle} -W x"));
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let program = words.next().unwrap();
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{command}: {output:?}");
}

async fn away(Path(url): Path<String>) -> Redirect {
    Redirect::temporary(&url)
}

/// A web server of two origins, with an empty page, and redirects.
pub struct Pages {
    pub origin: String,
    pub other_origin: String,
    serving: JoinHandle<()>,
}

impl Pages {
    pub async fn serve() -> Pages {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let routes = Router::new()
            .route("/", get(EMPTY))
            .route("/away/{url}", post(away));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Pages {
            origin: format!("http://127.0.0.1:{port}"),
            other_origin: format!("http://localhost:{port}"),
            serving,
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

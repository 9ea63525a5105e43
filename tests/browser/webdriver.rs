//! Chromium, driven over WebDriver.

use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::net::TcpListener;

/// A browser without a window.
pub struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    /// Starts a browser with an empty profile.
    pub async fn start() -> Browser {
        Browser::with(Command::new("chromedriver"), json!({})).await
    }

    /// The same, whose user has this home folder and these preferences.
    pub async fn of_user(home: &Path, preferences: Value) -> Browser {
        let mut driver = Command::new("chromedriver");
        driver.env("HOME", home);
        Browser::with(driver, preferences).await
    }

    async fn with(mut driver: Command, preferences: Value) -> Browser {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let driver = driver
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        let mut browser = Browser {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
        };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ];
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments, "prefs": preferences },
        } } });
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                let opened = browser.post("", &asked).await;
                let id = opened["sessionId"].as_str().unwrap().to_owned();
                browser.session = format!("{}/{id}", browser.session);
                return browser;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("chromedriver did not start");
    }

    /// Sends a command of WebDriver.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.session))
            .header("content-type", "application/json")
            .body(body.to_string());
        let text = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(answer["value"]["error"].is_null(), "{text}");
        answer["value"].clone()
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.driver.id().to_string())
            .status();
        let _ = self.driver.wait();
    }
}

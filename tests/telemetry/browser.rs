//! The status page in a real browser.

use crate::{
    service::{Running, ask, read_all, streamed},
    webdriver::Browser,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use claude_grpc::simulator::Behaviour;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, time::Duration};

impl Browser {
    async fn cdp(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", &body).await
    }

    async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.post("/execute/sync", &body).await
    }

    /// The whole page as a picture.
    async fn picture(&self, name: &str) {
        let parameters = json!({ "captureBeyondViewport": true });
        let shot = self.cdp("Page.captureScreenshot", parameters).await;
        let picture = BASE64_STANDARD.decode(shot["data"].as_str().unwrap());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("status");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(name);
        fs::write(&path, picture.unwrap()).unwrap();
        println!("{}", path.display());
    }

    async fn looks(&self, width: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.cdp("Emulation.setEmulatedMedia", media).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn the_page_lives_in_a_browser() {
    let service = Running::start(&[], "").await;
    let mut grpc = service.grpc.clone();
    for round in 0..60 {
        match round % 15 {
            5 => service.simulator.next([Behaviour::Error(400)]),
            9 => service
                .simulator
                .next([Behaviour::Overloaded, Behaviour::Error(500)]),
            12 => service.simulator.next([Behaviour::Error(404)]),
            _ => {}
        }
        let _ = grpc.generate(ask("a secret question")).await;
        if round % 4 == 0 {
            let opened = grpc.generate_stream(streamed("a secret question")).await;
            read_all(opened.unwrap().into_inner()).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    let browser = Browser::start().await;
    browser.open(&format!("{}/status", service.admin)).await;
    for (width, scheme) in [
        (390, "light"),
        (390, "dark"),
        (1200, "light"),
        (1200, "dark"),
    ] {
        browser.looks(width, scheme).await;
        let wide = "return document.documentElement.scrollWidth > innerWidth";
        assert_eq!(
            browser.run(wide).await,
            false,
            "it scrolls sideways at {width}"
        );
        let dark = "return getComputedStyle(document.body).backgroundColor";
        let background = browser.run(dark).await;
        let expected = match scheme {
            "dark" => "rgb(20, 22, 26)",
            _ => "rgb(244, 245, 247)",
        };
        assert_eq!(background, expected);
        browser.picture(&format!("{width}-{scheme}.png")).await;
    }

    // What happens after the page was opened comes by itself.
    let count = "return document.querySelectorAll('.failures li').length";
    let before = browser.run(count).await.as_u64().unwrap();
    assert_eq!(before, 8);
    service.simulator.next([Behaviour::Error(400)]);
    grpc.generate(ask("a secret question")).await.unwrap_err();
    for _ in 0..60 {
        if browser.run(count).await == before + 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(browser.run(count).await, before + 1);
    let text = browser
        .run("return document.documentElement.outerHTML")
        .await;
    assert!(
        !text.as_str().unwrap().contains("secret"),
        "it shows a text"
    );

    // A service that is gone is seen to be.
    drop(service);
    for _ in 0..60 {
        let stale = "return document.querySelector('#now').classList.contains('stale')";
        if browser.run(stale).await == true {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the page looks alive without its service");
}

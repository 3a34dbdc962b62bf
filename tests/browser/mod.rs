//! A headless Chromium that shows a page, and what it makes of it.

use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use obs_tests::{Error, Process};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Without a window, a sandbox (which root cannot have), or any talk with anybody else.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// How long the page may take to come to what is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// A browser with a profile of its own. Dropped, it is closed with all its processes.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: String,
    _process: Process,
    _profile: TempDir,
}

/// A driver, and where it listens.
///
/// Its port 0 is one that is free for IPv6, and it ends where another program has the same for IPv4. Then it is started again.
fn driver() -> (Process, String) {
    let port = |line: &str| {
        let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    };
    for _ in 0..10 {
        let mut process = start_driver().unwrap();
        match process.wait_for("which port it is at", port) {
            Ok(port) => return (process, format!("http://127.0.0.1:{port}")),
            Err(error) if error.to_string().contains("port not available") => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("ten ports in a row were taken");
}

impl Browser {
    /// A browser of the size of a laptop's window, in light colours.
    pub(crate) async fn start() -> Self {
        Self::start_with(json!({})).await
    }

    /// The same with preferences of its user.
    pub(crate) async fn start_with(preferences: Value) -> Self {
        Self::start_as(json!({ "prefs": preferences })).await
    }

    /// The same with options of its driver, such as `perfLoggingPrefs`, by which it logs as `performance` what it does.
    pub(crate) async fn start_as(mut options: Value) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (process, driver) = driver();
        let mut arguments: Vec<_> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        options["args"] = json!(arguments);
        let mut logs = json!({ "browser": "ALL" });
        if options.get("perfLoggingPrefs").is_some() {
            logs["performance"] = json!("ALL");
        }
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": logs,
            "goog:chromeOptions": options,
            "timeouts": { "script": PATIENCE.as_millis() },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object");
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver)
            .await
            .unwrap();
        let browser = Self {
            client,
            driver,
            _process: process,
            _profile: profile,
        };
        browser.size(1280, 800, 1).await;
        browser.prefer("light").await;
        browser
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// What a script gives back.
    pub(crate) async fn run<T: DeserializeOwned>(&self, script: &str) -> T {
        let value = self.client.execute(script, Vec::new()).await.unwrap();
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until an expression is true, or something else that counts as such, and gives that back. It is looked at
    /// whenever the document changes.
    pub(crate) async fn until<T: DeserializeOwned>(&self, expression: &str) -> T {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const look = () => {{
               const found = {expression};
               if (!found) return;
               observer.disconnect();
               done(found);
             }};
             const observer = new MutationObserver(look);
             observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
             look();"
        );
        match self.client.execute_async(&script, Vec::new()).await {
            Ok(value) => serde_json::from_value(value).unwrap(),
            Err(error) => panic!(
                "it never was that {expression}: {error}; {:?}",
                self.log().await
            ),
        }
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let element = self.client.active_element().await.unwrap();
        element.send_keys(keys).await.unwrap();
    }

    /// Gives the window a size in CSS pixels, so many of the screen's to each.
    pub(crate) async fn size(&self, width: u32, height: u32, scale: u32) {
        let is_phone = width < 500;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Has its user prefer `light` or `dark`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        self.look_at("screen", &[("prefers-color-scheme", scheme)])
            .await;
    }

    /// Shows the page as on `screen` or in `print`, with these preferences of its user and no others.
    pub(crate) async fn look_at(&self, media: &str, preferences: &[(&str, &str)]) {
        let features = preferences.iter();
        let features: Vec<_> = features
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let media = json!({ "media": media, "features": features });
        self.tell("Emulation.setEmulatedMedia", media).await;
    }

    /// What it wrote into its console since it was last asked: errors of scripts, of loading and of the page's policy.
    pub(crate) async fn log(&self) -> Vec<Value> {
        self.log_of("browser").await
    }

    /// What was written into one of its logs since it was last asked.
    pub(crate) async fn log_of(&self, kind: &str) -> Vec<Value> {
        let log = Chromium {
            path: "se/log",
            body: json!({ "type": kind }),
        };
        let log = self.client.issue_cmd(log).await.unwrap();
        log.as_array().unwrap().clone()
    }

    /// Has the browser do what the `DevTools` protocol has a command for, and gives back what that answers.
    pub(crate) async fn tell(&self, command: &str, parameters: Value) -> Value {
        let command = Chromium {
            path: "goog/cdp/execute",
            body: json!({ "cmd": command, "params": parameters }),
        };
        self.client.issue_cmd(command).await.unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver takes its browser with it, which nobody else would. Where it does not answer, there is none.
        let _ = ureq::get(format!("{}/shutdown", self.driver)).call();
    }
}

fn start_driver() -> Result<Process, Error> {
    obs_tests::tools::chromedriver().and_then(|driver| {
        let mut driver = std::process::Command::new(driver);
        Process::start(driver.arg("--port=0"))
    })
}

/// A command that only Chromium's driver knows.
#[derive(Debug)]
struct Chromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

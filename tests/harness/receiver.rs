//! Who is alerted: an address to which Alertmanager posts, and what came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Error;

/// Listens for the webhooks of an Alertmanager.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    notifications: Channel<Notification>,
}

/// One message of Alertmanager.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The path it was posted to, such as `/pager`.
    pub path: String,
    /// What it says, in the format of Alertmanager's webhooks.
    pub body: Value,
}

impl Notification {
    /// What all of its alerts have of a label, or nothing.
    #[must_use]
    pub fn label(&self, label: &str) -> &str {
        self.body["commonLabels"][label]
            .as_str()
            .unwrap_or_default()
    }

    /// Whether an alert of this name fires in it.
    #[must_use]
    pub fn fires(&self, alert: &str) -> bool {
        let mut alerts = self.body["alerts"].as_array().into_iter().flatten();
        alerts.any(|one| one["labels"]["alertname"] == alert && one["status"] == "firing")
    }
}

impl Receiver {
    /// Listens on this address; port 0 is any free one.
    pub fn listen(address: &str) -> Result<Self, Error> {
        let listen = || Error::system(format!("listen on {address} for alerts"));
        let listener = TcpListener::bind(address).map_err(listen())?;
        let address = listener.local_addr().map_err(listen())?;
        let (sender, notifications) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One that is cut short is sent again.
                let Ok(notification) = receive(stream) else {
                    continue;
                };
                if sender_is_gone(&sender, notification) {
                    return;
                }
            }
        });
        Ok(Self {
            address,
            notifications,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next message that is awaited, and before it all that came and was not; none if it does not come in time.
    #[must_use]
    pub fn until(
        &self,
        timeout: Duration,
        is_awaited: impl Fn(&Notification) -> bool,
    ) -> Option<Vec<Notification>> {
        let end = Instant::now() + timeout;
        let mut came = Vec::new();
        loop {
            came.push(self.next(end.saturating_duration_since(Instant::now()))?);
            if came.last().is_some_and(&is_awaited) {
                return Some(came);
            }
        }
    }

    /// The next message, or none if none comes in time.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<Notification> {
        self.notifications.recv_timeout(timeout).ok()
    }
}

fn sender_is_gone(sender: &Sender<Notification>, notification: Notification) -> bool {
    sender.send(notification).is_err()
}

/// Reads one request and answers it.
fn receive(stream: TcpStream) -> std::io::Result<Notification> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut body)?;
    let body = serde_json::from_slice(&body)?;
    reader
        .into_inner()
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(Notification { path, body })
}

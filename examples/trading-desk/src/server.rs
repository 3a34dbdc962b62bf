//! A listener with a router behind it, and a way to stop both.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::Error;

/// How long requests under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Listens on `address` and serves `router`. `option` is what the user would change if it cannot.
    pub async fn start(address: &str, option: &'static str, router: Router) -> Result<Self, Error> {
        let listen = |source| Error::Listen {
            address: address.to_owned(),
            option,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        // Small answers are sent at once; where that cannot be set they merely come later.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            // Told to stop, or dropped: both end it.
            let _ = stopped.await;
        });
        Ok(Self {
            address,
            stop,
            task: tokio::spawn(serve.into_future()),
        })
    }

    /// Where it listens, with the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more connections and waits for the requests under way, but not for ever.
    pub async fn stop(mut self) -> Result<(), Error> {
        let _ = self.stop.send(());
        let serve = |source| Error::Serve {
            address: self.address.to_string(),
            source,
        };
        match timeout(GRACE, &mut self.task).await {
            Ok(Ok(result)) => result.map_err(serve),
            Ok(Err(died)) => Err(serve(std::io::Error::other(died))),
            Err(_) => {
                self.task.abort();
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_a_clear_error() {
        let first = Server::start("127.0.0.1:0", "--listen", Router::new())
            .await
            .unwrap();
        let address = first.address().to_string();
        let second = Server::start(&address, "--listen", Router::new())
            .await
            .unwrap_err();
        let message = second.to_string();
        assert!(
            message.starts_with(&format!("cannot listen on {address}: ")),
            "{message}"
        );
        assert!(
            message.ends_with("choose another address with --listen"),
            "{message}"
        );
        first.stop().await.unwrap();
    }

    #[tokio::test]
    async fn stops_listening_with_a_connection_kept_alive() {
        let router = Router::new().route("/", get(|| async { "here" }));
        let server = Server::start("127.0.0.1:0", "--listen", router)
            .await
            .unwrap();
        let url = server.url();
        let client = reqwest::Client::new();
        let body = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert_eq!(body, "here");
        server.stop().await.unwrap();
        assert!(client.get(&url).send().await.unwrap_err().is_connect());
    }
}

//! The server on a thread of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::exporter::lock;
use crate::{Exporter, ExporterError};

/// A running server of [`Exporter::serve_blocking`]. Dropped, it stops listening; requests under way are still answered.
#[derive(Debug)]
#[must_use = "the server stops when it is dropped"]
pub struct BlockingServer {
    address: SocketAddr,
    /// Dropped, it tells the thread to stop.
    running: Option<oneshot::Sender<()>>,
    thread: JoinHandle<()>,
}

impl BlockingServer {
    pub(crate) fn start(exporter: &Exporter) -> Result<Self, ExporterError> {
        let runtime = Builder::new_current_thread()
            .thread_name("obs-exporter")
            .enable_all()
            .build()
            .map_err(ExporterError::ServerThread)?;
        let (running, stopped) = oneshot::channel();
        // The same channel as upkeep has: nothing is sent, and it ends when the thread has started to listen or cannot.
        let (starting, started) = mpsc::channel::<()>();
        let outcome = Arc::new(Mutex::new(None));
        let (exporter, said) = (exporter.clone(), Arc::clone(&outcome));
        let thread = std::thread::Builder::new()
            .name("obs-exporter".to_owned())
            .spawn(move || {
                let started = move |outcome| {
                    *lock(&said) = Some(outcome);
                    drop(starting);
                };
                serve(&runtime, &exporter, started, stopped);
            })
            .map_err(ExporterError::ServerThread)?;
        let _ = started.recv();
        let outcome = lock(&outcome).take();
        let address = outcome.ok_or_else(|| {
            // The thread says something before it ends, unless it panicked.
            ExporterError::ServerThread(io::Error::other("it ended before it was listening"))
        })??;
        Ok(Self {
            address,
            running: Some(running),
            thread,
        })
    }

    /// The address it listens on, with the port that was found where the configuration asks for any.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and waits until the requests under way are answered, but no longer than
    /// [`Server::GRACE`](crate::Server::GRACE).
    pub fn shutdown(mut self) {
        self.running = None;
        // What it would say of a panic, the panic hook has said.
        let _ = self.thread.join();
    }
}

fn serve(
    runtime: &Runtime,
    exporter: &Exporter,
    started: impl FnOnce(Result<SocketAddr, ExporterError>),
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        match exporter.serve().await {
            Ok(server) => {
                started(Ok(server.local_addr()));
                // Told to stop, or dropped: both end it.
                let _ = stopped.await;
                server.shutdown().await;
            }
            Err(error) => started(Err(error)),
        }
    });
}

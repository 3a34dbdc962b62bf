//! HTTP over a Unix socket.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as Resolves};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as Connects, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, unversioned::transport::time};

/// Connects to the socket at a path, whatever host is asked for.
#[derive(Debug)]
pub(super) struct Connector(pub(super) PathBuf);

impl Connects for Connector {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, Error> {
        let config = details.config;
        Ok(Some(Connection {
            stream: UnixStream::connect(&self.0)?,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        }))
    }
}

/// A socket has no address to look up; this stands in for one.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolves for Resolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(addresses)
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(left(&timeout))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(timed_out(&timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(left(&timeout))?;
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input).map_err(timed_out(&timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Each answer takes a connection of its own.
        false
    }
}

/// How long there is still time; a socket takes no duration of 0.
fn left(timeout: &NextTimeout) -> Option<std::time::Duration> {
    match timeout.after {
        time::Duration::NotHappening => None,
        time::Duration::Exact(left) => Some(left.max(std::time::Duration::from_millis(1))),
    }
}

fn timed_out(timeout: &NextTimeout) -> impl FnOnce(io::Error) -> Error + use<> {
    let reason = timeout.reason;
    move |error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(reason),
        _ => Error::Io(error),
    }
}

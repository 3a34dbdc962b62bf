//! gRPC: calls by service, method and code, of a server and of a client.

mod call;
mod client;
mod labels;
mod messages;
mod metrics;

pub use client::{RpcClientLayer, RpcClientService};
pub use labels::{CodeClass, Direction, RpcCode, RpcMethod, RpcService};

pub(crate) use call::{Call, Fault};
pub(crate) use messages::Messages;
pub(crate) use metrics::{Rpc, families};

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Whether a request is one of gRPC, by its media type. That of gRPC-Web is another.
pub(crate) fn is_rpc(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let behind = media_type.as_bytes().strip_prefix(b"application/grpc");
    behind.is_some_and(|behind| matches!(behind.first(), None | Some(b'+' | b';')))
}

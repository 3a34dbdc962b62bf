//! What goes through a Redis connection.

mod command;
mod connection;
mod labels;
mod messages;
mod metrics;
mod packed;

pub use command::Command;
pub use connection::{Borrowed, Redis};
pub use labels::{ClientName, CommandError, Lookup, Subscription};
pub use messages::Messages;
pub(crate) use metrics::ClientMetrics;
pub use metrics::RedisMetrics;

//! What every pool of connections has: waits, sizes, and how long its connections are held.

#[cfg(any(feature = "sqlx", feature = "pools"))]
mod acquisition;
#[cfg(feature = "pools")]
mod bb8;
#[cfg(feature = "pools")]
mod deadpool;
mod labels;
#[cfg(feature = "pools")]
mod lent;
#[cfg(feature = "pools")]
mod meter;
#[cfg(any(feature = "sqlx", feature = "pools"))]
mod metrics;

#[cfg(feature = "pools")]
pub use self::bb8::Bb8;
#[cfg(feature = "pools")]
pub use self::deadpool::Deadpool;
#[cfg(any(feature = "sqlx", feature = "pools"))]
pub(crate) use acquisition::{Acquisition, Held};
pub use labels::{AcquireError, AcquireStage, ConnectionState, PoolName};
#[cfg(feature = "pools")]
pub use lent::Lent;
#[cfg(feature = "pools")]
pub use meter::PoolMeter;
#[cfg(any(feature = "sqlx", feature = "pools"))]
pub(crate) use metrics::PoolMetrics;

use obs_core::Group;

pub(crate) const DATABASE: Group = Group::new("Database").rank(Group::LIBRARY + 70);

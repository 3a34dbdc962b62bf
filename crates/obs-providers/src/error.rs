//! What can go wrong here, apart from what goes wrong with calls.

use std::fmt;

/// The error of this crate. No text in it comes from a request, a response or a cached value.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// A route's template cannot be used.
    #[error("route `{template}`: {fault}")]
    Route {
        /// The template as it was given.
        template: String,
        /// What is wrong with it, and what to write instead.
        fault: &'static str,
    },
    /// A header's name cannot be used.
    #[error("`{0}` is no name of a header; give letters, digits and hyphens")]
    Header(String),
    /// A number of calls cannot be 0.
    #[error(
        "{0} cannot be 0: a provider that has done nothing would be taken for both up and down"
    )]
    Threshold(&'static str),
    /// A provider cannot have so many limits.
    #[error(
        "{0} limits are declared, and a provider has series for {1}; leave out those that are never near"
    )]
    Limits(usize, usize),
    /// A body is larger than the provider may send. The reader of the body gets it wrapped in its own error.
    #[error(
        "the body is larger than {limit} bytes; raise `max_body` if the provider is to send more"
    )]
    BodyTooLarge {
        /// The most it may have.
        limit: u64,
    },
    /// A time server could not be asked.
    #[cfg(feature = "ntp")]
    #[error("the time server `{server}`: {fault}")]
    Ntp {
        /// The server as it was given.
        server: String,
        /// What is wrong, and what to do.
        fault: &'static str,
    },
    /// Redis could not be reached or answered with an error.
    #[cfg(feature = "redis")]
    #[error("the cache in Redis failed ({})", .0.category())]
    Redis(redis::RedisError),
    /// What Redis holds under a key is no entry of this cache, or a value cannot be written as JSON.
    #[cfg(feature = "redis")]
    #[error(
        "a cached value and JSON do not fit each other; has its type changed? give the cache another prefix"
    )]
    Json(serde_json::error::Category),
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        obs_core::fmt_error(self, f)
    }
}

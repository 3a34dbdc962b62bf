//! The one error type of the desk: what happened, to what, and what to do about it.

use std::io;

use obs_core::ErrorKind;

use crate::bars::{MalformedBar, REQUIRED_COLUMNS};
use crate::outside::CallFailed;
use crate::symbol::Symbol;

/// Anything that stops the desk. What a strategy or a user asked for and may not have is no error:
/// see [`Refusal`](crate::risk::Refusal) and [`RejectReason`](crate::order::RejectReason).
#[derive(Debug, thiserror::Error, ErrorKind)]
pub enum Error {
    /// A bars file could not be opened or read.
    #[error("cannot read {file}: {source}")]
    ReadBars {
        /// The file as given.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A required column is not in the header.
    #[error("{file}:1: no column `{column}`; the header must name {}", REQUIRED_COLUMNS.join(", "))]
    MissingColumn {
        /// The file as given.
        file: String,
        /// The name that is missing.
        column: &'static str,
    },
    /// Two columns have the same name, so that either could be meant.
    #[error("{file}:1: column `{column}` is there twice; rename or remove one")]
    DuplicateColumn {
        /// The file as given.
        file: String,
        /// The name that is there twice.
        column: &'static str,
    },
    /// A row is not a bar.
    #[error(transparent)]
    MalformedBar(#[from] Box<MalformedBar>),
    /// There is a header and nothing else, or not even that.
    #[error("{file}: no bars; the file must have a header and at least one row")]
    NoBars {
        /// The file as given.
        file: String,
    },
    /// The file has no symbol column, and its name is no symbol either.
    #[error(
        "{file}: cannot take the symbol from the file's name; rename it or add a column `symbol`"
    )]
    NoSymbol {
        /// The file as given.
        file: String,
    },
    /// Two files hold bars of one symbol.
    #[error("{symbol} is in {first} and in {second}; give one of them")]
    SymbolTwice {
        /// The symbol both hold.
        symbol: Symbol,
        /// The file that was read first.
        first: String,
        /// The file that was read second.
        second: String,
    },
    /// A listener could not be opened.
    #[error("cannot listen on {address}: {source}; choose another address with {option}")]
    #[error_kind(severity = "critical")]
    Listen {
        /// The address asked for.
        address: String,
        /// The option that sets it.
        option: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A server stopped by itself.
    #[error("the server on {address} stopped: {source}")]
    #[error_kind(severity = "critical")]
    Serve {
        /// The address it listened on.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The exporter could not be configured, installed or served.
    #[error(transparent)]
    Exporter(#[from] obs_exporter::ExporterError),
    /// A ledger refused an event, a limit is no share, or the cash account does not hold what was sold.
    #[error("the account: {0}")]
    Trading(#[from] obs_trading::Error),
    /// Two declarations of one metric.
    #[error(transparent)]
    Catalogue(#[from] obs_core::CatalogueError),
    /// The desk's own exposition could not be read back.
    #[error("the metrics cannot be read: {0}; this is a bug in the exporter")]
    Exposition(#[from] obs_exposition::ParseError),
    /// A provider cannot be measured as it is configured.
    #[error(transparent)]
    Provider(#[from] obs_providers::ProviderError),
    /// A client of a provider could not be built.
    #[error("cannot reach {provider}: {problem}")]
    Outside {
        /// The provider.
        provider: String,
        /// What is wrong with its address, or with the client.
        problem: String,
    },
    /// Redis could not be reached when the desk was started.
    #[error("cannot use Redis: {0}; is it the one given with --redis, and does it run?")]
    Redis(#[from] redis::RedisError),
    /// A call to the market-data provider failed, after all its attempts.
    #[error("market data: {0}")]
    #[error_kind(name = "call_failed")]
    MarketData(CallFailed),
    /// A call to a sentiment provider failed. Its scores are left out, and the desk goes on.
    #[error("sentiment of {provider}: {source}")]
    #[error_kind(name = "call_failed", severity = "warning")]
    SentimentCall {
        /// The provider.
        provider: &'static str,
        /// What went wrong.
        source: CallFailed,
    },
    /// A score, or a threshold for scores, is none.
    #[error("sentiment: {0}")]
    Sentiment(#[from] obs_sentiment::SentimentError),
    /// A request of the light client failed on its way; an answer with an error status is not that.
    #[error("client: {0}")]
    Client(#[from] reqwest::Error),
    /// The database refused.
    #[error("cannot {what}: {source}; is the file given with --db writable, and the desk's own?")]
    #[error_kind(name = "database")]
    Store {
        /// What was attempted.
        what: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The task that changed the account died, or the runtime ended under it.
    #[error("a change to the account was not finished: {0}; this is a bug in the desk")]
    #[error_kind(severity = "critical")]
    Unfinished(#[from] tokio::task::JoinError),
    /// A fill sold more than is held, which the risk check rules out.
    #[error("order {order} sold {quantity} {symbol} of {held} held; this is a bug in the desk")]
    #[error_kind(severity = "critical")]
    Oversold {
        /// The order that was filled.
        order: u32,
        /// Its symbol.
        symbol: Symbol,
        /// Its quantity.
        quantity: u32,
        /// What its strategy held.
        held: u32,
    },
}

//! Names of the usual sentiment providers, so that every program spells them alike. Any other text will do as well.

/// Posts on Twitter, now X.
pub const TWITTER: &str = "twitter";
/// Threads and comments on Reddit.
pub const REDDIT: &str = "reddit";
/// Messages on `StockTwits`.
pub const STOCKTWITS: &str = "stocktwits";
/// News.
pub const NEWS: &str = "news";
/// Filings with the U.S. Securities and Exchange Commission.
pub const SEC: &str = "sec";
/// What people search for.
pub const GOOGLE_TRENDS: &str = "google_trends";
/// What analysts recommend.
pub const ANALYST_RATINGS: &str = "analyst_ratings";
/// What insiders buy and sell.
pub const INSIDER_TRADING: &str = "insider_trading";

/// All of them.
pub const SENTIMENT: [&str; 8] = [
    TWITTER,
    REDDIT,
    STOCKTWITS,
    NEWS,
    SEC,
    GOOGLE_TRENDS,
    ANALYST_RATINGS,
    INSIDER_TRADING,
];

//! A small but real trading service.

pub mod account;
pub mod bars;
pub mod broker;
pub mod desk;
pub mod error;
pub mod order;
pub mod portfolio;
pub mod provider;
pub mod risk;
pub mod server;
pub mod store;
pub mod strategy;
pub mod symbol;
pub mod trader;

pub use error::Error;

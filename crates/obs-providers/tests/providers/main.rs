//! What is measured of providers that do everything wrong: calls, feeds and clocks, over loopback and on injected clocks.

#[path = "../common/mod.rs"]
mod common;

mod blackhole;
mod calls;
mod cases;
mod clock;
mod feed;
mod forms;
mod hostile;
mod ntp;
mod panics;
mod recipes;
mod script;
mod websocket;

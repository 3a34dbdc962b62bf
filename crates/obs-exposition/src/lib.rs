//! A strict parser for the Prometheus text exposition format, with the place of every mistake

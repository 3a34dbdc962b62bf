//! Signals, decisions, orders and fills as verbs that move the right metrics

//! The attribute macros of obs-core: #[track_duration] and #[track_calls]

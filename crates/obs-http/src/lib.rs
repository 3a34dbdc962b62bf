//! A tower layer that measures an HTTP server: requests, durations, sizes, errors

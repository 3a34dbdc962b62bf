//! Install the Prometheus recorder with a catalogue and serve /metrics

//! Declare a metric once: typed handles, help, labels, budgets and a catalogue follow

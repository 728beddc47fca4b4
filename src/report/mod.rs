//! Consumers of run events: they know nothing else of a run.

//! Selection, scheduling, deadlines, and the one executor for all backends.

//! Labels, text and comparison of transcripts as pure functions, and the store of snapshot files.

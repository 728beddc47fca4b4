//! The scenarios that runs are reported of.

/// A scenario in which nothing happens; its snapshot has no frame.
pub(crate) const PASSES: &str =
    "description: Nothing happens.\ntags: [quick]\nsteps:\n  - note: nothing\n";
/// A scenario that expects what can't come.
pub(crate) const FAILS: &str = "description: Something is expected.\nchardevs:\n  out0: {}\nsteps:\n  \
                         - note: nothing\n  - expect: { out0: 1 }\n";
/// A scenario that `sim` can't run: the host answers.
pub(crate) const NEEDS_HOST: &str = "description: The host answers.\nnetdevs:\n  hn0: { type: tap, \
                              address: [10.0.0.1/24] }\nsteps:\n  - note: nothing\n";
/// A scenario of many cases.
pub(crate) const MANY: &str = "description: Many.\nmatrix:\n  n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, \
                        12]\nsteps:\n  - note: number ${n}\n";
/// A scenario with two faults.
pub(crate) const INVALID: &str =
    "description: Two faults.\nnetdevz: {}\nsteps:\n  - sent: hn0.guest\n";

//! A redirector that stands alone, between interfaces and sockets of a real machine: which of its
//! properties are refused, in the words that the machine's own has. `redirect` asks.

use super::{command, filter};
use crate::{
    base::QemuVersion,
    qapi::{Options, Source, Spec, spec},
    record::CommandError,
};

pub(crate) use command::SocketOptions;

/// Reads the properties of a `filter-redirector` of the RFC and checks their combination.
///
/// # Errors
/// The refusal of a wrong value, then that of the combination.
pub(crate) fn redirector(options: &Options) -> Result<Spec, CommandError> {
    let spec = spec(Source::Options(options), QemuVersion::RfcV1, true)?;
    filter::check_alone(&spec)?;
    Ok(spec)
}

/// Reads the options of a socket behind its address.
///
/// # Errors
/// The refusal of a wrong option, or of a combination.
pub(crate) fn socket_options(options: &Options) -> Result<SocketOptions, CommandError> {
    command::socket_options(options)
}

/// The refusal of an interface that there is none of. `side` is IN or OUT.
pub(crate) fn not_found(side: &str, name: &str) -> CommandError {
    filter::netdev_not_found(side, name)
}

/// The refusal of an interface that is no TAP.
pub(crate) fn not_a_tap(side: &str, name: &str) -> CommandError {
    filter::netdev_not_a_tap(side, name)
}
